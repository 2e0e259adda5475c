/** What lies between the projections of an MLA layer and its attention, in one call. */

export { type AppendLatentsOptions, appendLatents } from './append-latents.ts';
