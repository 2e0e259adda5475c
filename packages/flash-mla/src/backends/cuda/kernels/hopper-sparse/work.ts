import type { Ops, ParamValues, Pointer, Value } from '@flash-mla/ptx';
import type { BlockRange } from '../hopper/consume.ts';
import { tileRows, tileTokens } from '../hopper/tile.ts';
import type { QuerySource } from '../hopper/work.ts';
import type { QueryAndHead } from '../mla/dense-requests.ts';
import { forEachPiece, type Piece } from '../mla/pieces.ts';
import type { SparseParams } from './params.ts';

/** What a query picks from a cache for a piece. */
export interface Picks {
  /** The query's list. */
  readonly indices: Pointer<'global', 's32'>;
  /** Entries before this one count. */
  readonly limit: Value<'u32'>;
  readonly from: Value<'u32'>;
  readonly to: Value<'u32'>;
}

/** What a CTA has to do: heads of one query. Each role walks the pieces for itself. */
export interface SparseWork {
  /** Rows of the CTA that exist. */
  readonly count: Value<'u32'>;
  queryAndHead(row: Value<'u32'>): QueryAndHead;
  forEachPiece(body: (piece: Piece) => void, continues?: () => Value<'pred'>): void;
  picksOf(piece: Piece): Picks;
  queryOf(piece: Piece): QuerySource<'bf16'>;
  blocksOf(piece: Piece): BlockRange;
}

export function sparseWork(k: Ops, p: ParamValues<SparseParams>): SparseWork {
  const firstHead = k.blockIdx.x.mul(tileRows).named('first_head');
  const query = k.blockIdx.y;
  const lengthOf = (request: Value<'s32'>) => {
    const length = k.var('s32', p.mainTopk);
    const given = () =>
      length.set(p.mainLengths.at(request).load({ nc: true }).max(0).min(p.mainTopk));
    k.if(p.mainLengths.address().ne(0), given, { uniform: true });
    return length;
  };
  const blocksOf = (request: Value<'s32'>) =>
    lengthOf(request)
      .add(tileTokens - 1)
      .shr(Math.log2(tileTokens))
      .max(1);
  const count = p.numHeadsQ.sub(firstHead).named('row_count');
  return {
    count,
    queryAndHead: (row) => ({ query, head: firstHead.add(row) }),
    forEachPiece: (body, continues) => forEachPiece(k, p, k.blockIdx.z, blocksOf, body, continues),
    picksOf(piece) {
      const request = k.widen(piece.request.as('u32'));
      const to = piece.end().as('u32').named('to');
      const length = lengthOf(piece.request).as('u32');
      const [perRequest, perQuery] = p.mainIndexStrides;
      const indices = p.mainIndices.at(request.mul(perRequest)).at(k.widen(query).mul(perQuery));
      return { indices, limit: length.min(to.mul(tileTokens)), from: piece.from.as('u32'), to };
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
