import {
  type Ops,
  packPair,
  type SharedArray,
  segmentMax,
  segmentSum,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import { isRare, type RaisedRow, takeDifferences } from '../../large-scores.ts';
import type { WarpPlace } from './place.ts';
import type { Scores } from './scores.ts';
import type { MlaShared } from './shared.ts';
import { type MlaTile, tileShape } from './tile.ts';

/**
 * How far, in powers of two, a row's scores may rise above its running maximum before the outputs are
 * rescaled to a new one. Weights up to 2^8 cost no precision, and rescaling every output is rare.
 */
const headroom = 8;

/** Online softmax of the lane's two rows, 8 apart; all in base 2. */
export interface RowState {
  /**
   * The running maximum m: weights are 2^(score − m). It stays behind the largest score by up to the
   * headroom. −inf: nothing seen yet.
   */
  readonly runningMax: readonly [Var<'f32'>, Var<'f32'>];
  /** Sum of the weights that this lane computed. */
  readonly sum: readonly [Var<'f32'>, Var<'f32'>];
}

export function newRowState(k: Ops): RowState {
  const [r0, r1] = k.vars('f32', 2, Number.NEGATIVE_INFINITY);
  const [s0, s1] = k.vars('f32', 2, 0);
  return { runningMax: [r0, r1], sum: [s0, s1] };
}

const pair = [0, 1] as const;

/** The largest over all warps and lanes that share each of the lane's two rows. */
export function rowMaxima(
  k: Ops,
  shared: MlaShared,
  place: WarpPlace,
  scores: Scores,
): [Value<'f32'>, Value<'f32'>] {
  const local = pair.map((r) =>
    segmentMax(
      k,
      scores.map((acc) => acc[2 * r].max(acc[2 * r + 1])).reduce((a, b) => a.max(b)),
      4,
    ),
  );
  const all = acrossWarps(k, shared.rowStats, place, local);
  return pair.map((r) => largest(all[r])) as [Value<'f32'>, Value<'f32'>];
}

/** The largest, by a tree: a chain would make each comparison wait for the one before. */
function largest(values: readonly Value<'f32'>[]): Value<'f32'> {
  if (values.length === 1) return values[0];
  const half = values.length >> 1;
  return largest(values.slice(0, half)).max(largest(values.slice(half)));
}

/** Each warp's value of the lane's two rows. The lanes of a row hold equal values. */
function acrossWarps(
  k: Ops,
  stats: SharedArray<'f32'>,
  { lane, row, group }: WarpPlace,
  values: readonly Value<'f32'>[],
): Value<'f32'>[][] {
  k.if(lane.and(3).eq(0), () => {
    for (const r of pair) stats.at(row.add(8 * r), group).store(values[r]);
  });
  k.barrier();
  const groups = stats.placed.shape[1];
  const width = groups === 2 ? 2 : 4;
  return pair.map((r) => {
    const found: Value<'f32'>[] = [];
    for (let g = 0; g < groups; g += width) {
      found.push(...stats.at(row.add(8 * r), g).loadVec(width));
    }
    return found;
  });
}

/**
 * Whether a row's running maximum must be raised to a score that is so far above it. Their difference is exact
 * where it matters; the sum of a large maximum and the headroom may round to twice the headroom.
 */
export const isRise = (above: Value<'f32'>): Value<'pred'> => above.gt(headroom);

/** What a row's scores are added to for the exponents of its weights. */
export function baseOf(k: Ops, runningMax: Value<'f32'>): Value<'f32'> {
  // Where all is −inf so far, −inf − −inf must not become NaN.
  return k.select<'f32'>(runningMax.eq(Number.NEGATIVE_INFINITY), 0, runningMax).neg();
}

/**
 * Raises a row's running maximum if its largest score rises too far above it. What was summed up so far must
 * be multiplied by `factor`; weights are 2^(score + base).
 */
export function raiseRunningMax(
  k: Ops,
  row: Var<'f32'>,
  largest: Value<'f32'>,
): RaisedRow & { readonly factor: Value<'f32'> } {
  const before = k.copy<'f32'>(row);
  const rises = isRise(largest.sub(before));
  const runningMax = k.select(rises, largest, before);
  const factor = k.select(rises, k.ex2(before.sub(runningMax), { ftz: true }), 1);
  row.set(runningMax);
  return { factor, rises, base: baseOf(k, runningMax) };
}

/**
 * One step: turns scores into weights in shared memory and says in `rowScale` by how much the outputs
 * so far must be rescaled. `maxima` are the rows' largest scores, `scale` turns scores into powers of
 * two. Ends before the barrier after which other warps may read the weights.
 */
export function softmaxStep(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  state: RowState,
  scores: Scores,
  maxima: readonly [Value<'f32'>, Value<'f32'>],
  scale: Value<'f32'>,
): void {
  const { tokensPerWarp } = tileShape(tile);
  const firstToken = k.mad(place.group, tokensPerWarp, place.column);
  const raised = pair.map((r) => raiseRunningMax(k, state.runningMax[r], maxima[r].mul(scale)));
  const rows = pair.map((r) => ({
    scores: scores.flatMap((acc) => acc.slice(2 * r, 2 * r + 2)),
    base: raised[r].base,
  }));
  const bases = takeDifferences(k, rows, scale, isRare(k, raised));
  const factors = raised.map(({ factor }, r) => {
    const weights = shared.scratch.weights.row(place.row.add(8 * r));
    let sum = state.sum[r].mul(factor);
    scores.forEach((acc, j) => {
      const [p0, p1] = [acc[2 * r], acc[2 * r + 1]].map((s) =>
        k.ex2(k.fma(s, scale, bases[r]), { ftz: true }),
      );
      sum = sum.add(p0.add(p1));
      const word = weights.at(firstToken.add(8 * j)).as('b32');
      word.store(packPair(k, tile.element, p0, p1).as('b32'));
    });
    state.sum[r].set(sum);
    return factor;
  });
  const moved = k.ballot(factors[0].ne(1).or(factors[1].ne(1)));
  k.if(place.group.eq(0).and(place.lane.and(3).eq(0)), () => {
    for (const r of pair) shared.rowScale.at(place.row.add(8 * r)).store(factors[r]);
    k.if(place.lane.eq(0), () => shared.moved.at(place.rowTile).store(moved));
  });
}

/** The sums of the lane's two rows over all warps and lanes that share them. */
export function rowSums(
  k: Ops,
  shared: MlaShared,
  place: WarpPlace,
  state: RowState,
): [Value<'f32'>, Value<'f32'>] {
  const local = state.sum.map((sum) => segmentSum(k, sum, 4));
  const all = acrossWarps(k, shared.rowStats, place, local);
  return pair.map((r) => all[r].reduce((a, b) => a.add(b))) as [Value<'f32'>, Value<'f32'>];
}
