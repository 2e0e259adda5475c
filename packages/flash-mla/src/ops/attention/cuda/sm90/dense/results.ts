import {
  type Ops,
  type ParamValues,
  type Pointer,
  packPair,
  segmentSum,
  type Value,
} from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import {
  type LaneRow,
  laneRowDistance,
  laneRows,
  registersOfRow,
  rowLanes,
  rowMax,
} from '../../../../kernel-lib/cuda/sm90/register-tile.ts';
import { storeRow } from '../../../../kernel-lib/cuda/sm90/store-row.ts';
import type { decodeResultParams } from '../../decode-results.ts';
import type { Piece } from '../../pieces.ts';
import { rowScale } from '../../scaled-halves.ts';
import { sinkFactor } from '../../sink.ts';
import type { RowState } from './row-state.ts';
import type { HopperShared } from './tile.ts';
import type { Work } from './work.ts';

/** A piece's attention in both consumers, ready to be written. */
export interface HopperResults {
  readonly shared: Pick<HopperShared, 'sums' | 'sumsFull'>;
  readonly place: ConsumerPlace;
  readonly state: RowState;
  readonly piece: Piece;
  readonly target: ReturnType<Piece['target']>;
  /** Of the piece's number. */
  readonly parity: Value<'u32'>;
  readonly work: Pick<Work<Element>, 'count' | 'queryAndHead'>;
  readonly outElement: Element;
  /** Where the accumulators hold the consumer's n-th 8 columns; the n-th unless given. */
  readonly blockOf?: (block: number) => number;
  /** The attention sink of a head; applied where a row is finished, so not to a split of it. */
  readonly sink?: ((head: Value<'u32'>) => Value<'f32'>) | undefined;
}

/**
 * Writes finished rows to the outputs, and splits of rows to the slots: their columns as scaled f16,
 * beside (log-sum-exp in base 2, factor of the columns) as pairs of f32.
 */
export function writeResults(
  k: Ops,
  p: ParamValues<ReturnType<typeof decodeResultParams<Element>>>,
  results: HopperResults,
): void {
  const { shared, place, state, piece, target, work, outElement, blockOf = (n) => n } = results;
  const { lane, consumer, row } = place;
  const isFirstLane = lane.and(3).eq(0);
  const { isPartial, slot } = target;
  const own = laneRows.map((r) => segmentSum(k, state.sum[r], rowLanes));
  const ownLargest = k.vars('f32', 2, 0);
  k.if(
    isPartial,
    () => {
      for (const r of laneRows) ownLargest[r].set(largestOutput(k, state, r));
    },
    { uniform: true },
  );
  k.if(isFirstLane, () => {
    for (const r of laneRows) {
      shared.sums.at(consumer, row.add(laneRowDistance * r), 0).storeVec([own[r], ownLargest[r]]);
    }
  });
  k.mbarrierArrive(shared.sumsFull.at(consumer));
  k.mbarrierWait(shared.sumsFull.at(consumer.xor(1)), results.parity);

  const request = piece.request.as('u32');
  const rows = p.seqLenQ.mul(p.numHeadsQ);
  // Half of V: also the 32-bit words of a row.
  const ownColumns = state.outputs.length * 2;
  laneRows.forEach((r) => {
    const ownRow = row.add(laneRowDistance * r);
    const [otherSum, otherLargest] = shared.sums.at(consumer.xor(1), ownRow, 0).loadVec(2);
    const sum = own[r].add(otherSum);
    const isEmpty = sum.eq(0);
    const inverse = k.select<'f32'>(isEmpty, 0, k.rcp(sum));
    const isThere = ownRow.lt(work.count);
    const { query, head } = work.queryAndHead(ownRow);
    const index = k.mad(query, p.numHeadsQ, head);
    const lse2 = state.runningMax[r].add(k.lg2(sum));
    const writesLse = isThere.and(isFirstLane).and(consumer.eq(0));
    /** The row of `batch` from this lane's columns on, as pairs. */
    const start = k.mad(consumer, ownColumns, lane.and(3).shl(3));
    const wordsOf = (batch: Value<'u32'>) =>
      k
        .mulWide(batch, rows)
        .add(k.widen(index))
        .mul(ownColumns)
        .add(k.widen(start.shr(1)));
    const values = (j: number, factor: Value<'f32'>) =>
      [0, 1].map((c) => state.outputs[4 * j + 2 * r + c].mul(factor));
    const store = (to: Pointer<'global', 'b32'>, pack: (j: number) => Value<'b32'>) => {
      const blocks = state.outputs.length / 4;
      storeRow(
        k,
        lane,
        blocks,
        (block) => pack(blockOf(block)),
        (block, words) => {
          k.if(isThere, () => to.at(4 * block).storeVec(words));
        },
      );
    };
    k.if(
      isPartial,
      () => {
        const { scale, inverse: undo } = rowScale(k, ownLargest[r].max(otherLargest).mul(inverse));
        k.if(writesLse, () => {
          const at = k.mulWide(slot, rows).add(k.widen(index)).shl(1);
          p.partialLse.at(at).storeVec([lse2, undo]);
        });
        store(p.partialOut.as('b32').at(wordsOf(slot)), (j) => {
          const [lo, hi] = values(j, inverse.mul(scale));
          return packPair(k, 'f16', lo, hi).as('b32');
        });
      },
      () => {
        k.if(writesLse, () => {
          const at = k.mad(k.mad(request, p.numHeadsQ, head), p.seqLenQ, query);
          const natural = lse2.mul(Math.LN2);
          p.lse.at(at).store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, natural));
        });
        const factor = k.var('f32', inverse);
        if (results.sink !== undefined) {
          const sink = results.sink(k.select<'u32'>(isThere, head, 0));
          factor.set(k.select<'f32'>(isEmpty, 0, inverse.mul(sinkFactor(k, lse2, sink))));
        }
        store(p.out.as('b32').at(wordsOf(request)), (j) => {
          const [lo, hi] = values(j, factor);
          return packPair(k, outElement, lo, hi).as('b32');
        });
      },
      { uniform: true },
    );
  });
}

/** The largest magnitude of a lane's row in its consumer's columns, in all lanes of the row. */
function largestOutput(k: Ops, state: RowState, r: LaneRow): Value<'f32'> {
  return rowMax(
    k,
    registersOfRow(state.outputs, r).map((x) => x.abs()),
  );
}
