import type { Random } from '../../../conformance/suite/random.ts';

/** Lengths of requests as FlashMLA's tests draw them: N(mean, (mean / 2)²), at least sQ. */
export function drawLengths(
  params: {
    readonly b: number;
    readonly sQ: number;
    readonly varlen?: boolean | undefined;
    readonly zeroLengths?: 'some' | 'all' | undefined;
  },
  mean: number,
  random: Random,
): Int32Array {
  const { b, sQ, varlen = false, zeroLengths } = params;
  return Int32Array.from({ length: b }, (_, i) => {
    const drawn = varlen ? Math.round(mean + (random.normal() * mean) / 2) : mean;
    const isZero = zeroLengths === 'all' || (zeroLengths === 'some' && i % 2 === 0);
    return isZero ? 0 : Math.max(varlen ? sQ : 0, drawn);
  });
}

/** Top-k lengths from none to all, and two that count as none and as all. */
export function drawTopkLengths(count: number, topk: number, random: Random): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => {
    if (count > 3 && i === 1) return -3;
    if (count > 3 && i === 2) return topk + 5;
    return random.integer(0, topk);
  });
}
