import { type Ops, type ParamValues, packPair, type Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import type { decodeResultParams } from '../../decode-results.ts';
import type { Piece } from '../../pieces.ts';
import { consumers, tileColumns } from '../dense/tile.ts';
import type { Work } from '../dense/work.ts';
import { plus, type ReductionGroup, reduceOverGroup } from './reduction-group.ts';
import { queryRow, type RowState, registersOf } from './row-state.ts';

/** A piece's attention in both consumers, ready to be written. */
export interface SwappedResults {
  readonly group: ReductionGroup;
  readonly place: ConsumerPlace;
  readonly state: RowState;
  /**
   * The output columns of a lane, which are pairs in the two registers of a row: its first, and where
   * those of each accumulator are from there.
   */
  readonly columns: { readonly first: Value<'u32'>; readonly offsets: readonly number[] };
  readonly piece: Piece;
  readonly target: ReturnType<Piece['target']>;
  readonly work: Pick<Work<Element>, 'count' | 'queryAndHead'>;
  readonly outElement: Element;
  /** Factor of all outputs; absent: 1. */
  readonly factor?: Value<'f32'>;
}

/** Writes finished rows to the outputs, and splits of rows to the slots, as f32. */
export function writeResults(
  k: Ops,
  p: ParamValues<ReturnType<typeof decodeResultParams<Element>>>,
  results: SwappedResults,
): void {
  const { group, place, state, columns, piece, target, work, outElement } = results;
  const { consumer, thread } = place;
  const sums = reduceOverGroup(k, group, place, state.sum, plus);
  const { slot } = target;
  const request = piece.request.as('u32');
  const rows = p.seqLenQ.mul(p.numHeadsQ);
  const valueColumns = consumers * state.outputs.length * tileColumns;
  const answers = consumer.eq(0).and(thread.lt(4));
  sums.forEach((sum, r) => {
    const row = queryRow(place, r);
    k.if(row.lt(work.count), () => {
      const { query, head } = work.queryAndHead(row);
      const index = k.mad(query, p.numHeadsQ, head);
      const isEmpty = sum.eq(0);
      const inverse = k.select<'f32'>(
        isEmpty,
        0,
        results.factor ? k.rcp(sum).mul(results.factor) : k.rcp(sum),
      );
      const lse2 = state.runningMax[r].add(k.lg2(sum));
      const firstOf = (batch: Value<'u32'>) =>
        k.mulWide(batch, rows).add(k.widen(index)).mul(valueColumns).add(k.widen(columns.first));
      const values = (step: number) =>
        registersOf(r).map((i) => state.outputs[step][i].mul(inverse));
      k.if(
        target.isPartial,
        () => {
          k.if(answers, () => {
            p.partialLse.at(k.mulWide(slot, rows).add(k.widen(index))).store(lse2);
          });
          const to = p.partialOut.at(firstOf(slot));
          columns.offsets.forEach((offset, step) => {
            to.at(offset).storeVec(values(step));
          });
        },
        () => {
          k.if(answers, () => {
            const at = k.mad(k.mad(request, p.numHeadsQ, head), p.seqLenQ, query);
            const natural = lse2.mul(Math.LN2);
            p.lse.at(at).store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, natural));
          });
          const to = p.out.at(firstOf(request)).as('b32');
          columns.offsets.forEach((offset, step) => {
            const [even, odd] = values(step);
            to.at(offset / 2).store(packPair(k, outElement, even, odd).as('b32'));
          });
        },
        { uniform: true },
      );
    });
  });
}
