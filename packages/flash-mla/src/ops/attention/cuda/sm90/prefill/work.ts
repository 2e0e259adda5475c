import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import { tileRows, tileTokens } from '../dense/tile.ts';
import type { Params } from './params.ts';

/** What a CTA does next: up to 64 heads of one query. */
export interface PrefillWork {
  readonly query: Value<'u32'>;
  readonly headKv: Value<'u32'>;
  readonly firstHead: Value<'u32'>;
  /** Heads from the first on that share the KV head. */
  readonly count: Value<'u32'>;
  /** Entries of the query's list that count, and their blocks: at least one. */
  readonly length: Value<'u32'>;
  readonly blocks: Value<'u32'>;
}

/** Runs `body` for all work of a CTA. Each role walks it for itself; neighbours share a query's keys. */
export function forEachWork(k: Ops, p: Params, body: (work: PrefillWork) => void): void {
  const range = {
    from: k.blockIdx.x,
    to: p.seqLenQ.mul(p.tilesPerQuery),
    step: k.gridDim.x,
    name: 'work',
  } as const;
  k.for({ ...range, uniform: true, unroll: false }, (index) => {
    const query = index.div(p.tilesPerQuery).named('query');
    const tile = index.sub(query.mul(p.tilesPerQuery));
    const headKv = tile.div(p.tilesPerGroup);
    const firstOfGroup = tile.sub(headKv.mul(p.tilesPerGroup)).mul(tileRows);
    const length = k.var('s32', p.topk).named('length');
    const given = () => length.set(p.lengths.at(query).load({ nc: true }).max(0).min(p.topk));
    k.if(p.lengths.address().ne(0), given, { uniform: true });
    body({
      query,
      headKv,
      firstHead: k.mad(headKv, p.groupSize, firstOfGroup).named('first_head'),
      count: p.groupSize.sub(firstOfGroup).named('count'),
      length: length.as('u32'),
      blocks: length
        .as('u32')
        .add(tileTokens - 1)
        .shr(Math.log2(tileTokens))
        .max(1)
        .named('blocks'),
    });
  });
}

/** The query's list. */
export function indicesOf(
  k: Ops,
  p: Params,
  { query, headKv }: PrefillWork,
): Pointer<'global', 's32'> {
  return p.indices
    .at(k.widen(query).mul(p.indexStrides[0]))
    .at(k.widen(headKv).mul(p.indexStrides[1]));
}
