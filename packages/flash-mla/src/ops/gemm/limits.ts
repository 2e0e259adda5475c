/** Rows and columns of e4m3 weights that share a scale. */
export const weightScaleBlock = 128;
