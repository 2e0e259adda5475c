import type { Ops, ParamValues, Pointer, Value } from '@flash-mla/ptx';
import type { QueryAndHead } from '../../dense-requests.ts';
import { forEachPiece, type Piece } from '../../pieces.ts';
import type { BlockRange } from '../dense/consume.ts';
import { tileRows, tileTokens } from '../dense/tile.ts';
import type { QuerySource } from '../dense/work.ts';
import type { SparseParams } from './params.ts';

/** What a query picks from a cache for a piece. */
export interface Picks {
  /** The query's list: computed where it is read, so that no register keeps it. */
  indices(): Pointer<'global', 's32'>;
  /** Entries of the piece's before this one count. */
  readonly limit: Value<'u32'>;
}

/** What a query picks for a piece. */
export interface PiecePicks {
  readonly from: Value<'u32'>;
  readonly to: Value<'u32'>;
  readonly main: Picks;
  /** Where the second cache's entries begin, counted from the first of the first cache. */
  readonly extra: (Picks & { readonly first: Value<'u32'> }) | undefined;
}

/** What a CTA has to do: heads of one query. Each role walks the pieces for itself. */
export interface SparseWork {
  /** Rows of the CTA that exist. */
  readonly count: Value<'u32'>;
  queryAndHead(row: Value<'u32'>): QueryAndHead;
  forEachPiece(body: (piece: Piece) => void, continues?: () => Value<'pred'>): void;
  picksOf(piece: Piece): PiecePicks;
  queryOf(piece: Piece): QuerySource<'bf16'>;
  blocksOf(piece: Piece): BlockRange;
}

export function sparseWork(
  k: Ops,
  p: ParamValues<SparseParams>,
  { hasExtra }: { readonly hasExtra: boolean },
): SparseWork {
  const firstHead = k.blockIdx.x.mul(tileRows).named('first_head');
  const query = k.blockIdx.y;
  const lengthOf = (cache: 'main' | 'extra', request: Value<'s32'>) => {
    const topk = p[`${cache}Topk`];
    const lengths = p[`${cache}Lengths`];
    const length = k.var('s32', topk);
    const given = () => length.set(lengths.at(request).load({ nc: true }).max(0).min(topk));
    k.if(lengths.address().ne(0), given, { uniform: true });
    return length;
  };
  const blocks = (length: Value<'s32'>) => length.add(tileTokens - 1).shr(Math.log2(tileTokens));
  const mainBlocks = (length: Value<'s32'>) => blocks(length).max(1);
  const blocksOf = (request: Value<'s32'>) => {
    const main = mainBlocks(lengthOf('main', request));
    return hasExtra ? main.add(blocks(lengthOf('extra', request))) : main;
  };
  const count = p.numHeadsQ.sub(firstHead).named('row_count');
  return {
    count,
    queryAndHead: (row) => ({ query, head: firstHead.add(row) }),
    forEachPiece: (body, continues) => forEachPiece(k, p, k.blockIdx.z, blocksOf, body, continues),
    picksOf(piece) {
      const to = piece.end().named('to');
      const end = to.mul(tileTokens);
      const indices = (cache: 'main' | 'extra') => () => {
        const [perRequest, perQuery] = p[`${cache}IndexStrides`];
        return p[`${cache}Indices`]
          .at(k.widen(piece.request.as('u32')).mul(perRequest))
          .at(k.widen(query).mul(perQuery));
      };
      const length = lengthOf('main', piece.request);
      const main = { indices: indices('main'), limit: length.min(end).as('u32') };
      const range = { from: piece.from.as('u32'), to: to.as('u32') };
      if (!hasExtra) return { ...range, main, extra: undefined };
      const first = mainBlocks(length).mul(tileTokens).named('first_extra');
      const limit = lengthOf('extra', piece.request).min(end.sub(first)).max(0).as('u32');
      const extra = { indices: indices('extra'), first: first.as('u32'), limit };
      return { ...range, main, extra };
    },
    queryOf(piece) {
      const [perRequest, perQuery, perHead] = p.qStrides;
      const q = p.q
        .at(k.widen(piece.request.as('u32')).mul(perRequest))
        .at(k.widen(query).mul(perQuery))
        .at(k.widen(firstHead).mul(perHead));
      return { count, pointer: (row) => q.at(k.widen(row).mul(perHead)) };
    },
    blocksOf: (piece) => ({
      from: piece.from.as('u32'),
      to: piece.end().as('u32'),
      scale: p.scale,
    }),
  };
}
