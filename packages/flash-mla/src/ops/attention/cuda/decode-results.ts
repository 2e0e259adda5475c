import { global, type Ops, type ParamDecls, type ParamValues, type Value } from '@flash-mla/ptx';
import type { Element } from '../../kernel-lib/cuda/element.ts';
import type { Piece } from './pieces.ts';
import { sinkFactor } from './sink.ts';
import type { WarpPlace } from './sm80/mla/place.ts';
import { normalizeOutputs, type OutputRows, writeOutputs } from './sm80/mla/results.ts';
import type { MlaShared } from './sm80/mla/shared.ts';
import type { RowState } from './sm80/mla/softmax.ts';
import { writeStagedOutputs } from './sm80/mla/staged-results.ts';
import type { MlaTile } from './sm80/mla/tile.ts';
import type { Outputs } from './sm80/mla/values.ts';

/** Where decoding writes: parameters that its kernels have in common. */
export const decodeResultParams = <E extends Element>(outElement: E) =>
  ({
    /** (b, sQ, hQ, dV). */
    out: global(outElement),
    /** (b, hQ, sQ), natural log. */
    lse: global('f32'),
    /** (slots, sQ, hQ, dV) and (slots, sQ, hQ): results of splits, log-sum-exp in base 2. */
    partialOut: global('f32'),
    partialLse: global('f32'),
    seqLenQ: 'u32',
    numHeadsQ: 'u32',
  }) as const satisfies ParamDecls;

/** A CTA's attention, ready to be written. */
export interface DecodeResults {
  readonly tile: MlaTile;
  readonly shared: MlaShared;
  readonly place: WarpPlace;
  readonly state: RowState;
  readonly outputs: Outputs;
  readonly piece: Piece;
  /** Rows of the CTA that exist. */
  readonly count: Value<'u32'>;
  /** Query and head of a row of the CTA. */
  queryAndHead(row: Value<'u32'>): { readonly query: Value<'u32'>; readonly head: Value<'u32'> };
  readonly outElement: Element;
  /** Factor of all outputs. */
  readonly factor?: (() => Value<'f32'>) | undefined;
  /** Whether outputs pass through the place of the keys, to be stored in whole lines. */
  readonly isStaged?: boolean;
  /** The attention sink of a head; applied where a row is finished, so not to a split of it. */
  readonly sink?: ((head: Value<'u32'>) => Value<'f32'>) | undefined;
}

/** Writes finished rows to the outputs and splits of rows to the slots. */
export function writeDecodeResults(
  k: Ops,
  p: ParamValues<ReturnType<typeof decodeResultParams<Element>>>,
  results: DecodeResults,
): void {
  const { tile, shared, place, state, outputs, piece, count, queryAndHead } = results;
  const target = piece.target();
  const { isPartial, slot } = target;
  const request = piece.request.as('u32');
  const rows = p.seqLenQ.mul(p.numHeadsQ);
  const one = k.constant('f32', 1);

  normalizeOutputs(k, tile, shared, place, state, outputs, ({ row, lse2, isEmpty }) => {
    const factor = k.var('f32', results.factor?.() ?? one);
    k.if(row.lt(count), () => {
      const { query, head } = queryAndHead(row);
      k.if(
        isPartial,
        () => {
          const at = k.mulWide(slot, rows).add(k.widen(k.mad(query, p.numHeadsQ, head)));
          p.partialLse.at(at).store(lse2);
        },
        () => {
          const at = k.mad(k.mad(request, p.numHeadsQ, head), p.seqLenQ, query);
          const natural = lse2.mul(Math.LN2);
          p.lse.at(at).store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, natural));
          const sink = results.sink?.(head);
          if (sink !== undefined) factor.set(factor.mul(sinkFactor(k, lse2, sink)));
        },
      );
    });
    return factor;
  });

  const write = <E extends Element | 'f32'>(rows: OutputRows<E>) => {
    if (results.isStaged) writeStagedOutputs(k, tile, shared, place, outputs, rows);
    else writeOutputs(k, tile, place, outputs, rows);
  };
  const first = (batch: Value<'u32'>, row: Value<'u32'>) => {
    const { query, head } = queryAndHead(row);
    const index = k.mulWide(batch, rows).add(k.widen(k.mad(query, p.numHeadsQ, head)));
    return index.mul(tile.headDimV);
  };
  k.if(
    isPartial,
    () =>
      write({
        element: 'f32',
        count,
        pointer: (row) => p.partialOut.at(first(slot, row)),
      }),
    () =>
      write({
        element: results.outElement,
        count,
        pointer: (row) => p.out.at(first(request, row)),
      }),
    { uniform: true },
  );
}
