import { type Ops, packPair, segmentMax, segmentSum, type Value } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { transposeQuad } from '../../../../kernel-lib/cuda/sm90/quad.ts';
import { sinkFactor } from '../../sink.ts';
import type { RowState } from '../dense/row-state.ts';
import { headDimV } from '../dense/tile.ts';
import type { Params } from './params.ts';
import type { PrefillShared } from './tile.ts';
import type { PrefillWork } from './work.ts';

const pair = [0, 1] as const;

/** What a consumer has of a work, ready to be written. */
export interface PrefillResults {
  readonly place: ConsumerPlace;
  readonly state: RowState;
  /** The largest score of the lane's two rows in the blocks and columns that the lane has seen. */
  readonly largest: readonly Value<'f32'>[];
  readonly work: PrefillWork;
  /** Of the work's number. */
  readonly parity: Value<'u32'>;
  readonly hasSink: boolean;
}

/** Divides the outputs by the rows' sums over both consumers and writes all results. */
export function writeResults(
  k: Ops,
  shared: PrefillShared,
  p: Params,
  { place, state, largest, work, parity, hasSink }: PrefillResults,
): void {
  const { lane, consumer, row } = place;
  const isFirstLane = lane.and(3).eq(0);
  const own = pair.map((r) => segmentSum(k, state.sum[r], 4));
  const ownLargest = pair.map((r) => segmentMax(k, largest[r], 4));
  k.if(isFirstLane, () => {
    for (const r of pair) {
      shared.sums.at(consumer, row.add(8 * r), 0).storeVec([own[r], ownLargest[r]]);
    }
  });
  k.mbarrierArrive(shared.sumsFull.at(consumer));
  k.mbarrierWait(shared.sumsFull.at(consumer.xor(1)), parity);
  pair.forEach((r) => {
    const ownRow = row.add(8 * r);
    const [otherSum, otherLargest] = shared.sums.at(consumer.xor(1), ownRow, 0).loadVec(2);
    const sum = own[r].add(otherSum);
    const isEmpty = sum.eq(0);
    const isThere = ownRow.lt(work.count);
    const head = work.firstHead.add(ownRow);
    const lse2 = state.runningMax[r].add(k.lg2(sum));
    k.if(isThere.and(isFirstLane).and(consumer.eq(0)), () => {
      const at = k.mad(work.query, p.numHeadsQ, head);
      const natural = lse2.mul(Math.LN2);
      p.lse.at(at).store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, natural));
      // The maximum passes over NaN, the sum does not: a NaN that is attended to must show.
      const most = ownLargest[r].max(otherLargest).mul(p.naturalScale);
      const shown = k.select<'f32'>(sum.isNan(), sum, most);
      p.maxLogits.at(at).store(k.select<'f32'>(isEmpty, Number.NEGATIVE_INFINITY, shown));
    });
    const factor = k.var('f32', k.select<'f32'>(isEmpty, 0, k.rcp(sum)));
    if (hasSink) {
      const sink = p.sink.at(k.select<'u32'>(isThere, head, 0)).load();
      factor.set(k.select<'f32'>(isEmpty, 0, factor.mul(sinkFactor(k, lse2, sink))));
    }
    const index = k.madWide(work.query, p.numHeadsQ, k.widen(head));
    const column = k.mad(consumer, headDimV / 2, lane.and(3).shl(3));
    const out = p.out.at(index.mul(headDimV)).at(column).as('b32').folded();
    for (let j = 0; j < state.outputs.length / 4; j += 4) {
      const words = transposeQuad(
        k,
        lane,
        [0, 1, 2, 3].map((i) => {
          const [lo, hi] = pair.map((c) => state.outputs[4 * (j + i) + 2 * r + c].mul(factor));
          return packPair(k, 'bf16', lo, hi).as('b32');
        }),
      );
      k.if(isThere, () => out.at(4 * j).storeVec(words));
    }
  });
}
