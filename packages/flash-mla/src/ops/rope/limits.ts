/** The widest heads. */
export const maxRopeDim = 512;
