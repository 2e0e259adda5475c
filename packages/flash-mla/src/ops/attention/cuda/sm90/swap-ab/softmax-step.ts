import { type Ops, type Pointer, packPair, type Value, type Var } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { isLarge, isRare, takeDifferences } from '../../large-scores.ts';
import { baseOf, isRise, raiseRunningMax } from '../../sm80/mla/softmax.ts';
import { tileTokens } from '../dense/tile.ts';
import { larger, type ReductionGroup, reduceOverGroup } from './reduction-group.ts';
import { type RowState, registersOf } from './row-state.ts';

/** What becomes weights, and where. */
export interface Scored {
  /** Of 16 tokens a warp. */
  readonly scores: readonly Var<'f32'>[];
  /** Softmax scale · log2 e. */
  readonly scale: Value<'f32'>;
  /** A swizzled tile of 64 tokens for each query row. */
  readonly weights: Pointer<'shared', Element>;
}

/**
 * Turns scores into weights in shared memory, where the group may multiply them afterwards; none of this
 * consumer's multiplications may be under way, but others of the group may still read the weights before
 * these, which must lie elsewhere. The running maximum is raised only where a score exceeds it by far. That is rare:
 * weights are computed as if it did not happen, and again if the barrier that everybody waits at anyway
 * tells that it did, to anybody. Rows whose scores are as large as `takeDifferences` says always take that way.
 */
export function softmaxStep(
  k: Ops,
  group: ReductionGroup,
  place: ConsumerPlace,
  state: RowState,
  { scores, scale, weights }: Scored,
): void {
  const mine = state.sum.map((_, r) => registersOf(r).map((i) => scores[i] as Var<'f32'>));
  const own = mine.map(([a, b]) => a.max(b));
  const write = weightsWriter(k, place, weights);
  /** Stores weights; a lane's sums of them. */
  const weightsFor = (bases: readonly Value<'f32'>[]) => {
    const all = mine.map((tokens, r) =>
      tokens.map((score) => k.ex2(k.fma(score, scale, bases[r]), { ftz: true })),
    );
    write(all);
    return all.map(([a, b]) => a.add(b));
  };
  const bases = state.runningMax.map((runningMax) => baseOf(k, runningMax));
  const needsMore = own
    .map((x, r) => isRise(k.fma(x, scale, state.runningMax[r].neg())).or(isLarge(bases[r])))
    .reduce((a, b) => a.or(b));
  const sums = weightsFor(bases);
  k.if(
    group.syncAny(needsMore),
    () => {
      const largest = reduceOverGroup(k, group, place, own, larger);
      const moved = largest.map((x, r) => raiseRunningMax(k, state.runningMax[r], x.mul(scale)));
      const rows = moved.map(({ base }, r) => ({ scores: mine[r], base }));
      weightsFor(takeDifferences(k, rows, scale, isRare(k, moved))).forEach((x, r) => {
        state.sum[r].set(k.fma(state.sum[r], moved[r].factor, x));
      });
      const factors = moved.map(({ factor }) => factor);
      rescaleOutputs(state, factors);
      group.sync();
    },
    () => {
      sums.forEach((x, r) => {
        state.sum[r].addTo(x);
      });
    },
    { uniform: true },
  );
}

/** Stores a lane's weights by row and token, for wgmma to read after the next barrier. */
function weightsWriter(
  k: Ops,
  { lane, warpRow }: ConsumerPlace,
  tile: Pointer<'shared', Element>,
): (weights: readonly (readonly Value<'f32'>[])[]) => void {
  // Blocks of 8 tokens by 8 rows, stored transposed: rows come to lie along the tokens.
  const eighth = lane.shr(3);
  const row = eighth.shr(1).shl(3).add(lane.and(7));
  const chunk = warpRow.shr(3).add(eighth.and(1)).xor(lane.and(7));
  const start = tile.bytes(row.shl(7).add(chunk.shl(4))).folded();
  return (weights) => {
    for (let r = 0; r < weights.length; r += 4) {
      const words = [0, 2].flatMap((pair) =>
        [0, 1].map((half) =>
          packPair(k, tile.element, weights[r + pair][half], weights[r + pair + 1][half]).as('b32'),
        ),
      );
      const to = start.bytes((r / 4) * 16 * tileTokens * 2);
      k.stmatrix(to.as('b16'), words, { trans: true });
    }
    k.fenceProxyAsync('shared::cta');
  };
}

/** Multiplies the outputs by factors that the sums have already. */
function rescaleOutputs({ outputs }: RowState, factors: readonly Value<'f32'>[]): void {
  for (const columns of outputs) {
    factors.forEach((factor, r) => {
      for (const i of registersOf(r)) columns[i].set(columns[i].mul(factor));
    });
  }
}
