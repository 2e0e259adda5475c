import type { Ops, Var } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import type { SparseShared } from './tile.ts';

/** Hides tokens that are not there; their rows are zeros. */
export function hideMissing(
  k: Ops,
  shared: Pick<SparseShared, 'present'>,
  { consumer, column }: ConsumerPlace,
  scores: readonly Var<'f32'>[],
): void {
  const words = shared.present.at(consumer, 0).as('b32').loadVec(2);
  k.if(
    words[0].and(words[1]).ne(-1),
    () => {
      // Bits of the lane's two columns, 8 tokens apart.
      const own = words.map((word) => word.shr(column).named('present'));
      scores.forEach((score, i) => {
        const token = (i >> 2) * 8 + (i & 1);
        const isPresent = own[token >> 5].and(2 ** (token & 31)).ne(0);
        score.set(k.select<'f32'>(isPresent, score, Number.NEGATIVE_INFINITY));
      });
    },
    { uniform: true },
  );
}
