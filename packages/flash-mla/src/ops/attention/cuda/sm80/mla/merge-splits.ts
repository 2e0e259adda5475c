import {
  global,
  type Ops,
  type ParamDecls,
  type ParamValues,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { scheduleParams } from '../../decode-params.ts';
import type { decodeResultParams } from '../../decode-results.ts';
import type { Piece } from '../../pieces.ts';
import type { WarpPlace } from './place.ts';
import { writeOutputs } from './results.ts';
import type { MlaShared } from './shared.ts';
import { type RowState, rowSums } from './softmax.ts';
import { ctaThreads, type MlaTile, tileShape } from './tile.ts';
import type { Outputs } from './values.ts';

/** How CTAs merge the splits of a request among themselves: plain data. */
export interface SplitMerge {
  /** Rows whose results are passed on. */
  readonly rows: 8 | 16;
  /**
   * Whether a CTA looks whether all others have arrived before it passes its own result on, which the
   * last then need not.
   */
  readonly looksAhead: boolean;
}

/** Splits that one CTA merges at a time: of more, groups of as many are merged first. */
export const mergedAtOnce = 8;
/** Splits whose outputs are loaded together. */
const loadedTogether = 4;

export const splitMergeParams = {
  /**
   * (parts, tiles): how many splits of a group have arrived; 0 before and after a launch. A group's
   * counter is that of the part with its first split, and one further for groups of groups.
   */
  arrivals: global('u32'),
} as const satisfies ParamDecls;

/** Bytes of a split's outputs and of its log-sum-exps, for the rows of one CTA. */
export function mergedBytes(tile: MlaTile, { rows }: SplitMerge) {
  return { outputs: outputWords(tile, rows) * 4, statistics: 16 * 4 };
}

const outputWords = (tile: MlaTile, rows: 8 | 16): number =>
  rows * tileShape(tile).columnsPerWarp * (ctaThreads / 32);

/** A CTA's attention to be written, or to be merged with that of others. */
export interface MergedResults {
  readonly merge: SplitMerge;
  /** 16 rows. */
  readonly tile: MlaTile;
  readonly shared: MlaShared;
  readonly place: WarpPlace;
  readonly state: RowState;
  readonly outputs: Outputs;
  readonly piece: Piece;
  /** The part, whose pieces of a request follow those of the part before it. */
  readonly part: Value<'u32'>;
  /** Which of the part's CTAs this is, and how many there are: tiles of rows times KV heads. */
  readonly member: Value<'u32'>;
  readonly members: Value<'u32'>;
  /** Rows of the CTA that exist. */
  readonly count: Value<'u32'>;
  /** Query and head of a row of the CTA. */
  queryAndHead(row: Value<'u32'>): { readonly query: Value<'u32'>; readonly head: Value<'u32'> };
  readonly outElement: Element;
  /** Factor of all outputs. */
  readonly factor?: (() => Value<'f32'>) | undefined;
}

type Params = ParamValues<
  ReturnType<typeof decodeResultParams<Element>> & typeof splitMergeParams & typeof scheduleParams
>;

/**
 * Writes finished rows. Splits of rows are merged by the CTA of a request's splits that comes last, in
 * the order of splits whoever that is: each passes its results on through memory and counts itself as
 * arrived; nobody waits. More than {@link mergedAtOnce} splits are merged in groups, then these in turn.
 */
export function writeMergedResults(k: Ops, p: Params, results: MergedResults): void {
  const { merge, tile, shared, place, state, piece, count, queryAndHead } = results;
  const outputs = rowsOfOutputs(results.outputs, merge.rows);
  const request = piece.request.as('u32');
  const before = p.numSplits.at(piece.request).load();
  const firstSlot = before.as('u32').min(p.slots);
  const allSplits = p.numSplits.at(piece.request).at(1).load().sub(before).max(0);
  const splits = allSplits.as('u32').min(p.slots.sub(firstSlot));
  const split = piece.split.as('u32');
  /** The part of the request's first split. */
  const firstPart = results.part.sub(split);
  const arrivals = (part: Value<'u32'>) =>
    p.arrivals.at(k.mad(part.min(k.gridDim.z.sub(1)), results.members, results.member));
  const isFirstThread = place.thread.eq(0);

  // On its way during what follows.
  const arrived = k.var('u32', 0).named('arrived');
  if (merge.looksAhead) {
    k.if(isFirstThread, () => {
      arrived.set(arrivals(firstPart.add(split.and(-mergedAtOnce))).load({ relaxed: 'gpu' }));
    });
  }
  const sums = rowSums(k, shared, place, state);
  const lse2 = outputs.map((columns, r) => {
    const sum = sums[r as 0 | 1];
    const scale = k.var('f32', k.rcp(sum));
    const factor = results.factor?.();
    if (factor !== undefined) scale.set(scale.mul(factor));
    scale.set(k.select<'f32'>(sum.eq(0), 0, scale));
    for (const o of columns) o.set(o.mul(scale));
    return k.var('f32', state.runningMax[r as 0 | 1].add(k.lg2(sum)));
  });

  /** Whether the rows are finished here: 1. */
  const isMine = k.var('u32', 1).named('is_mine');
  const group: Group = {
    index: k.var('u32', split).named('split_or_group'),
    count: k.var('u32', splits).named('splits_or_groups'),
    step: k.var('u32', 1).named('splits_of_each'),
  };
  const flag = shared.moved.at(0);
  /** What the first thread says, for all; the barrier orders memory as well. */
  const tellAll = (say: () => Value<'pred'>) => {
    k.if(isFirstThread, () =>
      flag.store(k.select<'u32'>(say(), 1, k.constant('u32', 0)).as('b32')),
    );
    k.barrier();
    return flag.load().ne(0);
  };
  const mergeLevel = (level: Value<'u32'>) => {
    const own = group.index.and(mergedAtOnce - 1).named('own');
    const first = group.index.sub(own);
    const others = group.count.sub(first).min(mergedAtOnce).sub(1).named('others');
    const partial = (index: Value<'u32'>) => {
      const slot = firstSlot.add(index.mul(group.step));
      return partialResult(k, p, results, slot.min(p.slots.sub(1)));
    };
    const counter = arrivals(firstPart.add(first.mul(group.step)).add(level));
    const isLast = k.var('u32', 0);
    const arrive = () => {
      const mine = partial(group.index);
      storePartial(k, results, mine, outputs, lse2);
      k.barrier();
      const last = tellAll(() => {
        return k.atomicAdd(counter, 1, { order: 'acq_rel', scope: 'gpu' }).eq(others);
      });
      k.if(last, () => isLast.set(1), { uniform: true });
    };
    const mergeGroup = () => {
      if (!merge.looksAhead) arrive();
      else {
        const last = tellAll(() => {
          const all = arrived.eq(others);
          k.if(all, () => k.fence('gpu'));
          return all;
        });
        k.if(last, () => isLast.set(1), arrive, { uniform: true });
      }
      k.if(
        isLast.ne(0),
        () => {
          // As the next launch wants to find it.
          k.if(isFirstThread, () => counter.store(0, { relaxed: 'gpu' }));
          const other = (i: number) => {
            const each = k.constant('u32', i).min(others.sub(1));
            return partial(first.add(k.select(each.ge(own), each.add(1), each)));
          };
          k.section('merge', () => addOthers(k, { own, others, other, outputs, lse2 }));
        },
        () => isMine.set(0),
        { uniform: true },
      );
    };
    k.if(others.gt(0), mergeGroup, { uniform: true });
  };

  const isSplit = splits.gt(1);
  k.if(
    isSplit,
    () => {
      const level = k.var('u32', 0).named('level');
      k.loop(
        (loop) => {
          mergeLevel(level);
          loop.breakIf(isMine.eq(0).or(group.count.le(mergedAtOnce)));
          group.index.set(group.index.shr(Math.log2(mergedAtOnce)));
          group.count.set(group.count.add(mergedAtOnce - 1).shr(Math.log2(mergedAtOnce)));
          group.step.set(group.step.shl(Math.log2(mergedAtOnce)));
          level.set(level.add(1));
          // Not looked at ahead: no number of others.
          arrived.set(mergedAtOnce);
          // Everybody has read the flag.
          k.barrier();
        },
        { uniform: true, name: 'merge_level', unroll: false },
      );
    },
    { uniform: true },
  );

  k.if(
    isMine.ne(0),
    () => {
      k.if(place.group.eq(0).and(place.lane.and(3).eq(0)), () => {
        lse2.forEach((lse, r) => {
          const row = place.row.add(8 * r);
          k.if(row.lt(count), () => {
            const { query, head } = queryAndHead(row);
            const at = k.mad(k.mad(request, p.numHeadsQ, head), p.seqLenQ, query);
            const isEmpty = lse.eq(Number.NEGATIVE_INFINITY);
            const natural = lse.mul(Math.LN2);
            p.lse.at(at).store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, natural));
          });
        });
      });
      const rows = p.seqLenQ.mul(p.numHeadsQ);
      writeOutputs(k, tile, place, results.outputs, {
        element: results.outElement,
        count,
        pointer: (row) => {
          const { query, head } = queryAndHead(row);
          const index = k.mulWide(request, rows).add(k.widen(k.mad(query, p.numHeadsQ, head)));
          return p.out.at(index.mul(tile.headDimV));
        },
      });
    },
    { uniform: true },
  );
}

/** Which of the splits, or of groups of `step` splits each, this CTA stands for. */
interface Group {
  readonly index: Var<'u32'>;
  readonly count: Var<'u32'>;
  readonly step: Var<'u32'>;
}

/** A lane's outputs by row: those of row r of the lane, in the order of its registers. */
type RowOutputs = readonly (readonly Var<'f32'>[])[];

function rowsOfOutputs(outputs: Outputs, rows: 8 | 16): RowOutputs {
  return Array.from({ length: rows / 8 }, (_, r) =>
    outputs.flatMap((accumulators) => accumulators.flatMap((acc) => [acc[2 * r], acc[2 * r + 1]])),
  );
}

/** Where a partial result lies: what a lane holds in 16 bytes each, side by side for the CTA's threads. */
interface PartialResult {
  readonly outputs: ReturnType<Params['partialOut']['at']>;
  readonly lse2: ReturnType<Params['partialLse']['at']>;
}

function partialResult(
  k: Ops,
  p: Params,
  { merge, tile, place, member, members }: MergedResults,
  slot: Value<'u32'>,
): PartialResult {
  const index = k.mad(slot, members, member);
  return {
    outputs: p.partialOut
      .at(k.mulWide(index, outputWords(tile, merge.rows)))
      .at(place.thread.shl(2)),
    lse2: p.partialLse.at(k.mad(index, 16, place.row)),
  };
}

function storePartial(
  k: Ops,
  { place }: MergedResults,
  to: PartialResult,
  outputs: RowOutputs,
  lse2: readonly Value<'f32'>[],
): void {
  k.if(place.group.eq(0).and(place.lane.and(3).eq(0)), () => {
    for (const [r, lse] of lse2.entries()) to.lse2.at(8 * r).store(lse);
  });
  const values = outputs.flat();
  for (let i = 0; i < values.length; i += 4) {
    to.outputs.at(i * ctaThreads).storeVec(values.slice(i, i + 4));
  }
}

/** Merges others' results into the CTA's own, in the order of splits. */
function addOthers(
  k: Ops,
  merge: {
    /** Which of the group's splits is in the registers. */
    readonly own: Value<'u32'>;
    /** How many others there are, at least one. */
    readonly others: Value<'u32'>;
    /** Another one's result, the last one's beyond. */
    other(i: number): PartialResult;
    readonly outputs: RowOutputs;
    readonly lse2: readonly Var<'f32'>[];
  },
): void {
  const { own, others, other, outputs, lse2 } = merge;
  const most = mergedAtOnce - 1;
  const each = Array.from({ length: most }, (_, i) => i);
  const words = outputs.flat().length;
  const load = (i: number) => {
    const from = other(i).outputs;
    return Array.from({ length: words / 4 }, (_, u) =>
      from.at(u * 4 * ctaThreads).loadVec(4),
    ).flat();
  };
  const otherLses = each.map((i) => {
    const from = other(i).lse2;
    return lse2.map((_, r) => {
      const lse = from.at(8 * r).load();
      return k.select<'f32'>(others.gt(i), lse, Number.NEGATIVE_INFINITY);
    });
  });
  // Under way before their weights are known.
  const ahead = each.slice(0, loadedTogether).map(load);

  const weights = lse2.map((mine, r) => {
    const lses = otherLses.map((both) => both[r]);
    const max = lses.reduce((a: Value<'f32'>, b) => a.max(b), mine);
    const base = k.select<'f32'>(max.eq(Number.NEGATIVE_INFINITY), 0, max);
    const weight = (lse: Value<'f32'>) => k.ex2(lse.sub(base), { ftz: true });
    const mineOf = weight(mine);
    const sum = k.var('f32', 0);
    const addMine = (i: number) => sum.set(k.select(own.eq(i), sum.add(mineOf), sum));
    lses.forEach((lse, i) => {
      addMine(i);
      sum.addTo(weight(lse));
    });
    addMine(most);
    // Divided by the sum of weights: 2^(lse − total) is off by what rounding a large total took.
    const inverse = k.select<'f32'>(sum.eq(0), 0, k.rcp(sum));
    const all = {
      mine: mineOf.mul(inverse),
      others: lses.map((lse) => weight(lse).mul(inverse)),
    };
    mine.set(base.add(k.lg2(sum)));
    return all;
  });

  const merged = outputs.map((columns) => k.vars('f32', columns.length, 0));
  const addMine = () => {
    merged.forEach((row, r) => {
      row.forEach((sum, c) => {
        sum.set(k.fma(weights[r].mine, outputs[r][c], sum));
      });
    });
  };
  const add = (i: number, loaded: readonly Value<'f32'>[]) => {
    k.if(own.eq(i), addMine, { uniform: true });
    const addOther = () => {
      merged.forEach((row, r) => {
        row.forEach((sum, c) => {
          sum.set(k.fma(weights[r].others[i], loaded[r * row.length + c], sum));
        });
      });
    };
    k.if(others.gt(i), addOther, { uniform: true });
  };
  for (const [i, loaded] of ahead.entries()) add(i, loaded);
  for (let from = loadedTogether; from < most; from += loadedTogether) {
    const addMore = () => {
      const more = each.slice(from, from + loadedTogether);
      const loaded = more.map(load);
      for (const [j, i] of more.entries()) add(i, loaded[j]);
    };
    k.if(others.ge(from), addMore, { uniform: true });
  }
  k.if(own.eq(most), addMine, { uniform: true });
  merged.forEach((row, r) => {
    row.forEach((sum, c) => {
      outputs[r][c].set(sum);
    });
  });
}
