/** Rows of a table. */

export { type EmbeddingOptions, embedding } from './embedding.ts';
