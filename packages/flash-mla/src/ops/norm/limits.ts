/** The widest rows: kernels keep a row in the registers or the scratch memory of one group of threads. */
export const maxColumns = 32768;

/** Columns that share the scale of an e4m3 row. */
export const scaleColumns = 128;

/** Scales are those of a largest magnitude of at least this, so that rows of zeros have one. */
export const leastMagnitude = 1e-4;

/** The largest e4m3 number. */
export const largestE4m3 = 448;
