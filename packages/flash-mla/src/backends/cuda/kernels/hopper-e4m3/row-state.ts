import { type Ops, packPair, type Value, type Var } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../hopper/place.ts';
import { barrierId, consumers, tileTokens, warpGroupThreads } from '../hopper/tile.ts';
import { baseOf, moveReference, risesAbove } from '../mla/softmax.ts';
import { columnSteps, consumerWarps, type E4m3Shared, type E4m3Tile } from './tile.ts';

/** A barrier of both consumers. */
export const meet = (k: Ops): void => {
  k.barrier(barrierId.consumers, consumers * warpGroupThreads);
};

/** The same, and tells each thread whether any of them brought a true predicate. */
const meetAny = (k: Ops, p: Value<'pred'>): Value<'pred'> =>
  k.barrierAny(p, barrierId.consumers, consumers * warpGroupThreads);

/**
 * A consumer's share of the attention: half the columns of the output, relative to 2^reference. The
 * matrices are transposed: an accumulator has tokens or output columns for rows, 8 apart in a lane, and
 * query rows for columns, a pair in every 8. Lists count a lane's query rows.
 */
export interface RowState {
  readonly reference: readonly Var<'f32'>[];
  /** Of the lane's tokens alone. */
  readonly sum: readonly Var<'f32'>[];
  /** Accumulators of 64 output columns each. */
  readonly outputs: readonly (readonly Var<'f32'>[])[];
}

export function rowState(k: Ops, { rows }: E4m3Tile): RowState {
  return {
    reference: k.vars('f32', rows / 4),
    sum: k.vars('f32', rows / 4),
    outputs: Array.from({ length: columnSteps }, () => k.vars('f32', rows / 2)),
  };
}

export function resetRows({ reference, sum, outputs }: RowState): void {
  for (const each of reference) each.set(Number.NEGATIVE_INFINITY);
  for (const each of [...sum, ...outputs.flat()]) each.set(0);
}

/** The query row of the CTA that is a lane's row `r`. */
export const queryRow = ({ column }: ConsumerPlace, r: number): Value<'u32'> =>
  column.add((r >> 1) * 8 + (r & 1));

/** The accumulator's registers of a lane's row `r`: of its first token or column and the one 8 later. */
export const registersOf = (r: number): readonly [number, number] => {
  const first = (r >> 1) * 4 + (r & 1);
  return [first, first + 2];
};

/** Each lane's rows, brought together over the lanes of a warp that hold the same rows. */
export function acrossLanes(
  k: Ops,
  values: readonly Value<'f32'>[],
  join: (a: Value<'f32'>, b: Value<'f32'>) => Value<'f32'>,
): Value<'f32'>[] {
  return [4, 8, 16].reduce(
    (all, distance) => all.map((x) => join(x, k.shuffleXor(x, distance))),
    [...values],
  );
}

/** Each lane's rows, brought together over all warps. Not again before a barrier that comes after it. */
export function acrossWarps(
  k: Ops,
  { found }: E4m3Shared,
  place: ConsumerPlace,
  values: readonly Value<'f32'>[],
  join: (a: Value<'f32'>, b: Value<'f32'>) => Value<'f32'>,
): Value<'f32'>[] {
  const { consumer, lane, thread } = place;
  const warp = consumer.shl(2).add(thread.shr(5));
  k.if(lane.lt(4), () => {
    values.forEach((value, r) => {
      found.at(queryRow(place, r), warp).store(value);
    });
  });
  meet(k);
  return values.map((_, r) => {
    const all: Value<'f32'>[] = [];
    for (let i = 0; i < consumerWarps; i += 4) {
      all.push(...found.at(queryRow(place, r), i).loadVec(4));
    }
    return all.reduce(join);
  });
}

const larger = (a: Value<'f32'>, b: Value<'f32'>) => a.max(b);

/**
 * Turns the scores of each consumer's block into weights in shared memory, where all warps may multiply
 * them afterwards; none of this consumer's multiplications may be under way. References move only where
 * a score rises far above them. That is rare: weights are computed as if it did not happen, and again if
 * the barrier that everybody waits at anyway tells that it did, to anybody.
 */
export function weigh(
  k: Ops,
  shared: E4m3Shared,
  place: ConsumerPlace,
  state: RowState,
  scores: readonly Var<'f32'>[],
  scale: Value<'f32'>,
  buffer: Value<'u32'>,
): void {
  const mine = state.sum.map((_, r) => registersOf(r).map((i) => scores[i] as Var<'f32'>));
  const own = mine.map(([a, b]) => a.max(b));
  const write = weightsWriter(k, shared, place, buffer);
  /** Stores weights; a lane's sums of them. */
  const weighBy = (bases: readonly Value<'f32'>[]) => {
    const weights = mine.map((tokens, r) =>
      tokens.map((score) => k.ex2(k.fma(score, scale, bases[r]), { ftz: true })),
    );
    write(weights);
    return weights.map(([a, b]) => a.add(b));
  };
  const rises = own
    .map((x, r) => risesAbove(x.mul(scale), state.reference[r]))
    .reduce((a, b) => a.or(b));
  const sums = weighBy(state.reference.map((reference) => baseOf(k, reference)));
  const anyRises = meetAny(k, rises);
  k.if(
    anyRises,
    () => {
      const largest = acrossWarps(k, shared, place, acrossLanes(k, own, larger), larger);
      const moved = largest.map((x, r) => moveReference(k, state.reference[r], x.mul(scale)));
      weighBy(moved.map(({ base }) => base)).forEach((x, r) => {
        state.sum[r].set(k.fma(state.sum[r], moved[r].factor, x));
      });
      const factors = moved.map(({ factor }) => factor);
      rescaleOutputs(state, factors);
      meet(k);
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
  shared: E4m3Shared,
  { consumer, lane, warpRow }: ConsumerPlace,
  buffer: Value<'u32'>,
): (weights: readonly (readonly Value<'f32'>[])[]) => void {
  // Blocks of 8 tokens by 8 rows, stored transposed: rows come to lie along the tokens.
  const eighth = lane.shr(3);
  const row = eighth.shr(1).shl(3).add(lane.and(7));
  const chunk = warpRow.shr(3).add(eighth.and(1)).xor(lane.and(7));
  const start = shared.weights
    .tile(buffer, consumer, 0)
    .bytes(row.shl(7).add(chunk.shl(4)))
    .folded();
  return (weights) => {
    for (let r = 0; r < weights.length; r += 4) {
      const words = [0, 2].flatMap((pair) =>
        [0, 1].map((half) =>
          packPair(k, 'f16', weights[r + pair][half], weights[r + pair + 1][half]),
        ),
      );
      k.stmatrix(start.bytes((r / 4) * 16 * tileTokens * 2), words, { trans: true });
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
