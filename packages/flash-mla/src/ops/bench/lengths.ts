import { UsageError } from './usage-error.ts';

/**
 * Lengths of `b` requests around `sK` tokens: all equal, or spread from sK/8 to 15·sK/8 in an order
 * that looks random, as FlashMLA's own measurements have them.
 */
export function requestLengths(b: number, sK: number, varlen: boolean): number[] {
  return Array.from({ length: b }, (_, i) => {
    if (!varlen) return sK;
    const spread = b > 1 ? ((i * 37) % b) / (b - 1) : 0.5;
    return Math.max(1, Math.floor(sK / 8 + ((sK * 14) / 8) * spread));
  });
}

/** Pairs of one query head with a key that it sees. Causal is aligned to the end. */
export function attendedPairs(sQ: number, lengths: readonly number[], causal: boolean): number {
  let pairs = 0;
  for (const sK of lengths) {
    pairs += sQ * sK;
    if (!causal) continue;
    // Query i from the end does not see the last i keys; beyond sK of them there are none left to see.
    const short = Math.min(sQ, sK);
    pairs -= (short * (short - 1)) / 2 + (sQ - short) * sK;
  }
  return pairs;
}

/** Throws {@link UsageError} unless `part` divides `whole`. */
export function checkDivides(part: number, whole: number, partName: string, wholeName: string) {
  if (whole % part === 0) return;
  throw new UsageError(`${partName} must divide ${wholeName}: ${part} does not divide ${whole}.`);
}

/** Throws {@link UsageError} unless `part` is at most `whole`. */
export function checkWithin(part: number, whole: number, partName: string, wholeName: string) {
  if (part <= whole) return;
  throw new UsageError(`${partName} ${part} is more than ${wholeName} ${whole}.`);
}
