import { type Ops, type ParamValues, packPair, type Value } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../hopper/place.ts';
import { headDimV } from '../hopper/tile.ts';
import type { decodeResultParams } from '../mla/decode-results.ts';
import type { Piece } from '../mla/pieces.ts';
import type { Element } from '../mla/tile.ts';
import { acrossLanes, acrossWarps, queryRow, type RowState, registersOf } from './row-state.ts';
import { columnSteps, type E4m3Shared } from './tile.ts';

/** A piece's attention in both consumers, ready to be written. */
export interface E4m3Results {
  readonly shared: E4m3Shared;
  readonly place: ConsumerPlace;
  readonly state: RowState;
  readonly piece: Piece;
  readonly target: ReturnType<Piece['target']>;
  /** Rows of the CTA that exist. */
  readonly count: Value<'u32'>;
  queryAndHead(row: Value<'u32'>): { readonly query: Value<'u32'>; readonly head: Value<'u32'> };
  readonly outElement: Element;
  /** Factor of all outputs. */
  readonly factor: Value<'f32'>;
}

const plus = (a: Value<'f32'>, b: Value<'f32'>) => a.add(b);

/** Writes finished rows to the outputs, and splits of rows to the slots, as f32. */
export function writeResults(
  k: Ops,
  p: ParamValues<ReturnType<typeof decodeResultParams<Element>>>,
  results: E4m3Results,
): void {
  const { shared, place, state, piece, target, count, queryAndHead, outElement } = results;
  const { consumer, lane, thread } = place;
  const sums = acrossWarps(k, shared, place, acrossLanes(k, state.sum, plus), plus);
  const slot = target.slot.min(p.slots.sub(1));
  const request = piece.request.as('u32');
  const rows = p.seqLenQ.mul(p.numHeadsQ);
  const answers = consumer.eq(0).and(thread.lt(4));
  /** First of the lane's columns: pairs, 16 apart from step to step. */
  const column = k
    .mad(consumer, headDimV / 2, thread.shr(5).shl(6))
    .add(lane.shr(2).shl(1))
    .named('first_column');
  sums.forEach((sum, r) => {
    const row = queryRow(place, r);
    k.if(row.lt(count), () => {
      const { query, head } = queryAndHead(row);
      const index = k.mad(query, p.numHeadsQ, head);
      const isEmpty = sum.eq(0);
      const inverse = k.select<'f32'>(isEmpty, 0, k.rcp(sum).mul(results.factor));
      const lse2 = state.reference[r].add(k.lg2(sum));
      const firstOf = (batch: Value<'u32'>) =>
        k.mulWide(batch, rows).add(k.widen(index)).mul(headDimV).add(k.widen(column));
      const values = (step: number) =>
        registersOf(r).map((i) => state.outputs[step][i].mul(inverse));
      k.if(
        target.isPartial,
        () => {
          k.if(answers, () => {
            p.partialLse.at(k.mulWide(slot, rows).add(k.widen(index))).store(lse2);
          });
          const to = p.partialOut.at(firstOf(slot));
          for (let step = 0; step < columnSteps; step++) {
            to.at(16 * step).storeVec(values(step));
          }
        },
        () => {
          k.if(answers, () => {
            const at = k.mad(k.mad(request, p.numHeadsQ, head), p.seqLenQ, query);
            const natural = lse2.mul(Math.LN2);
            p.lse.at(at).store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, natural));
          });
          const to = p.out.at(firstOf(request)).as('b32');
          for (let step = 0; step < columnSteps; step++) {
            const [even, odd] = values(step);
            to.at(8 * step).store(packPair(k, outElement, even, odd).as('b32'));
          }
        },
        { uniform: true },
      );
    });
  });
}
