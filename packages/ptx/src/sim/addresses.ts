/** Simulated cluster addresses: the CTA's rank plus 1 above this bit, its shared address below. */
export const clusterShift = 24;

/** Where the parameter block lies in simulated generic addresses. */
export const paramBase = 0x1000_0000;
