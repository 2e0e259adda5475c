import type { Ops, ParamValues, Value } from '@flash-mla/ptx';
import type { CommonDenseParams } from './decode-params.ts';
import { blockTokens } from './pieces.ts';

/** Query and head of a row. */
export interface QueryAndHead {
  readonly query: Value<'u32'>;
  readonly head: Value<'u32'>;
}

type Params = Pick<
  ParamValues<CommonDenseParams>,
  'seqlens' | 'capacity' | 'seqLenQ' | 'groupSize' | 'causal'
>;

/**
 * How a CTA of dense decoding reads requests. Its rows are those of a KV head, queries times the heads
 * that share it, numbered query by query, from `firstRow` on; undefined: from the first.
 */
export function denseRequests(k: Ops, p: Params, firstRow?: Value<'u32'>) {
  const headK = k.blockIdx.y;
  const lengthOf = (request: Value<'s32'>) =>
    p.seqlens.at(request).load({ nc: true }).max(0).min(p.capacity);
  return {
    queryAndHead(row: Value<'u32'>): QueryAndHead {
      const index = firstRow ? firstRow.add(row) : row;
      const query = index.div(p.groupSize);
      const head = k.mad(headK, p.groupSize, index.sub(query.mul(p.groupSize)));
      return { query, head };
    },
    /** Tokens of a request. */
    lengthOf,
    /** Blocks of a request, at least one. */
    blocksOf: (request: Value<'s32'>) =>
      lengthOf(request)
        .add(blockTokens - 1)
        .shr(Math.log2(blockTokens))
        .max(1),
    /** Tokens that a query sees of a request of this length. */
    seenBy(length: Value<'s32'>, query: Value<'u32'> | 0): Value<'u32'> {
      const later = p.seqLenQ.sub(1).sub(query);
      return length.sub(p.causal.mul(later).as('s32')).max(0).as('u32');
    },
  };
}
