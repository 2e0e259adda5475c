import type { KernelBuilder } from '../builder/kernel.ts';
import type { Xmm, Ymm, Zmm } from '../registers/vector.ts';

/** The instructions that combine lanes: sums or maxima. */
type Combining = 'vaddps' | 'vmaxps' | 'vminps';

/**
 * Adds vectors and then all their lanes: the sum is in the lowest lane of what is returned. Overwrites
 * the vectors; takes one more register.
 */
export const sumOfLanes = (k: KernelBuilder, vectors: readonly Zmm[] | readonly Ymm[]): Xmm =>
  combineLanes(k, 'vaddps', vectors);

/** The largest of all lanes of vectors, in the lowest lane; otherwise as {@link sumOfLanes}. */
export const maxOfLanes = (k: KernelBuilder, vectors: readonly Zmm[] | readonly Ymm[]): Xmm =>
  combineLanes(k, 'vmaxps', vectors);

const isZmm = (vectors: readonly Zmm[] | readonly Ymm[]): vectors is readonly Zmm[] =>
  vectors[0]?.kind === 'zmm';

/** Vectors by pairs, then halves of what is left. */
function combineLanes(
  k: KernelBuilder,
  combine: Combining,
  vectors: readonly Zmm[] | readonly Ymm[],
): Xmm {
  if (isZmm(vectors)) pairwise(vectors, (a, b) => k[combine](a, a, b));
  else pairwise(vectors, (a, b) => k[combine](a, a, b));
  const [first] = vectors;
  const rest = k.ymm('rest');
  if (first.kind === 'zmm') {
    k.vextractf64x4(rest, first.zmm, 1);
    k[combine](first.ymm, first.ymm, rest);
  }
  const total = first.xmm;
  // VEX has no bit for registers from 16 up.
  if (k.has('avx512vl')) k.vextractf32x4(rest.xmm, first.ymm, 1);
  else k.vextractf128(rest.xmm, first.ymm, 1);
  k[combine](total, total, rest.xmm);
  k.vmovshdup(rest.xmm, total);
  k[combine](total, total, rest.xmm);
  k.vmovhlps(rest.xmm, rest.xmm, total);
  k[combine](total, total, rest.xmm);
  k.free(rest);
  return total;
}

/** Combines into the first, in a tree. */
function pairwise<T>(list: readonly T[], combine: (a: T, b: T) => void): void {
  for (let step = 1; step < list.length; step *= 2) {
    for (let i = 0; i + step < list.length; i += 2 * step) combine(list[i], list[i + step]);
  }
}
