/** Dimensions of an index query or key: those of every published indexer. */
export const indexDim = 128;

/** Leading dimensions that are rotated. */
export const indexRopeDim = 64;

/** Bytes of a token in the index cache: its key, and a float32 scale. */
export const indexTokenBytes = indexDim + 4;

/** Heads at most: kernels keep the query of all heads in registers. */
export const maxIndexHeads = 64;

/** Tokens of a page are a multiple of this: rows of a matrix instruction. */
export const indexPageUnit = 16;

/** Scales are those of a largest magnitude of at least this, so that rows of zeros have one. */
export const leastMagnitude = 1e-4;

/** The largest e4m3 number. */
export const largestE4m3 = 448;

/** Tokens that a query chooses at most. */
export const maxTopK = 4096;
