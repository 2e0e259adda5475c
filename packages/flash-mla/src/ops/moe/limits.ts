export { weightScaleBlock } from '../gemm/index.ts';

/** The most experts that a router chooses from. */
export const maxExperts = 1024;

/** The most experts of a row. */
export const maxTopK = 64;
