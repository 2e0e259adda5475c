import { type Ops, type ParamValues, packPair, segmentSum, type Value } from '@flash-mla/ptx';
import type { decodeResultParams } from '../mla/decode-results.ts';
import type { Piece } from '../mla/pieces.ts';
import type { Element } from '../mla/tile.ts';
import type { ConsumerPlace } from './place.ts';
import type { RowState } from './row-state.ts';
import { barrierId, consumers, type HopperShared, headDimV, warpGroupThreads } from './tile.ts';

/** A piece's attention in both consumers, ready to be written. */
export interface HopperResults {
  readonly shared: HopperShared;
  readonly place: ConsumerPlace;
  readonly state: RowState;
  readonly piece: Piece;
  /** Rows of the CTA that exist. */
  readonly count: Value<'u32'>;
  queryAndHead(row: Value<'u32'>): { readonly query: Value<'u32'>; readonly head: Value<'u32'> };
  readonly outElement: Element;
}

const pair = [0, 1] as const;

/** Writes finished rows to the outputs and splits of rows to the slots. */
export function writeResults(
  k: Ops,
  p: ParamValues<ReturnType<typeof decodeResultParams<Element>>>,
  results: HopperResults,
): void {
  const { shared, place, state, piece, count, queryAndHead, outElement } = results;
  const { lane, consumer, row, column } = place;
  const isFirstLane = lane.and(3).eq(0);
  const own = pair.map((r) => segmentSum(k, state.sum[r], 4));
  k.if(isFirstLane, () => {
    for (const r of pair) shared.sums.at(consumer, row.add(8 * r)).store(own[r]);
  });
  k.barrier(barrierId.consumers, consumers * warpGroupThreads);
  const sums = pair.map((r) =>
    shared.sums
      .at(consumer.xor(1), row.add(8 * r))
      .load()
      .add(own[r]),
  );

  const { isPartial, slot: wanted } = piece.target();
  const slot = wanted.min(p.slots.sub(1));
  const request = piece.request.as('u32');
  const rows = p.seqLenQ.mul(p.numHeadsQ);
  pair.forEach((r) => {
    const isEmpty = sums[r].eq(0);
    const inverse = k.select<'f32'>(isEmpty, 0, k.rcp(sums[r]));
    const ownRow = row.add(8 * r);
    k.if(ownRow.lt(count), () => {
      const { query, head } = queryAndHead(ownRow);
      const index = k.mad(query, p.numHeadsQ, head);
      k.if(isFirstLane.and(consumer.eq(0)), () => {
        const lse2 = state.reference[r].add(k.lg2(sums[r]));
        k.if(
          isPartial,
          () => p.partialLse.at(k.mulWide(slot, rows).add(k.widen(index))).store(lse2),
          () => {
            const at = k.mad(k.mad(request, p.numHeadsQ, head), p.seqLenQ, query);
            const natural = lse2.mul(Math.LN2);
            p.lse.at(at).store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, natural));
          },
        );
      });
      const first = (batch: Value<'u32'>) =>
        k.mulWide(batch, rows).add(k.widen(index)).mul(headDimV);
      const start = k.mad(consumer, headDimV / 2, column);
      const registers = Array.from({ length: state.outputs.length / 4 }, (_, j) =>
        pair.map((c) => state.outputs[4 * j + 2 * r + c].mul(inverse)),
      );
      k.if(
        isPartial,
        () => {
          const to = p.partialOut.at(first(slot)).at(start);
          registers.forEach((values, j) => {
            to.at(8 * j).storeVec(values);
          });
        },
        () => {
          const to = p.out.at(first(request)).at(start).as('b32');
          registers.forEach(([lo, hi], j) => {
            to.at(4 * j).store(packPair(k, outElement, lo, hi).as('b32'));
          });
        },
        { uniform: true },
      );
    });
  });
}
