import type { Ops, ParamValues, Pointer, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { denseRequests, type QueryAndHead } from '../../dense-requests.ts';
import { forEachPiece, type Piece } from '../../pieces.ts';
import type { KeyBlocks } from './key-blocks.ts';
import type { Blocks } from './mask.ts';
import type { DecodeParams } from './params.ts';
import { tileTokens } from './tile.ts';

/** Where a CTA's query rows are; each is aligned to 16 bytes. */
export interface QuerySource<S extends Element | 'e4m3'> {
  /** Rows that exist; the CTA's others are zeros. */
  readonly count: Value<'u32'>;
  pointer(row: Value<'u32'>): Pointer<'global', S>;
}

/** What a CTA has to do, as its roles need to know it; each walks the pieces for itself. */
export interface Work<S extends Element | 'e4m3'> {
  /** Rows of the CTA that exist. */
  readonly count: Value<'u32'>;
  /** Query and head of a row of the CTA. */
  queryAndHead(row: Value<'u32'>): QueryAndHead;
  forEachPiece(body: (piece: Piece) => void, continues?: () => Value<'pred'>): void;
  /** Tokens of a piece's request. */
  lengthOf(piece: Piece): Value<'u32'>;
  /** A piece's blocks and where they are. */
  keysOf(piece: Piece): KeyBlocks<S>;
  /** Where a piece's query rows are. */
  queryOf(piece: Piece): QuerySource<S>;
  /** What consumers must know of a piece. */
  blocksOf(piece: Piece, scale: Value<'f32'>): Blocks;
}

/** The work of the CTA whose first row among those of a KV head is `firstRow`; undefined: the first. */
export function workOf<S extends Element | 'e4m3'>(
  k: Ops,
  p: ParamValues<DecodeParams<S>>,
  pageSize: number,
  firstRow?: Value<'u32'>,
): Work<S> {
  const headKv = k.blockIdx.y;
  const rows = p.seqLenQ.mul(p.groupSize);
  const count = (firstRow ? rows.sub(firstRow) : rows).named('row_count');
  const { queryAndHead, lengthOf, blocksOf, seenBy } = denseRequests(k, p, firstRow);
  /** The request's row of the block table. */
  const pagesOf = (request: Value<'s32'>) =>
    p.blockTable.at(k.mulWide(request.as('u32'), p.blockTableStride));
  const lastPage = p.capacity.sub(1).max(0).as('u32').div(pageSize);
  return {
    count,
    queryAndHead,
    forEachPiece: (body, continues) => forEachPiece(k, p, k.blockIdx.z, blocksOf, body, continues),
    keysOf({ request, from, end }) {
      const pages = pagesOf(request);
      const range = { from: from.as('u32'), end: () => end().as('u32') };
      return { map: p.keys, headKv, pageSize, pages, lastPage, numBlocks: p.numBlocks, ...range };
    },
    lengthOf: ({ request }) => lengthOf(request).as('u32'),
    queryOf({ request }) {
      const q = p.q.at(k.widen(request.as('u32')).mul(p.qStrides[0]));
      const pointer = (row: Value<'u32'>) => {
        const { query, head } = queryAndHead(row);
        return q.at(k.widen(query).mul(p.qStrides[1])).at(k.widen(head).mul(p.qStrides[2]));
      };
      return { count, pointer };
    },
    blocksOf({ request, from, end }, scale) {
      const to = end();
      const length = lengthOf(request).as('u32').named('length');
      return {
        from: from.as('u32'),
        to: to.as('u32'),
        length: () => length,
        seenByAll: seenBy(length.as('s32'), 0),
        limitOfRow: (row, of) => seenBy(of.as('s32'), queryAndHead(row).query),
        isMissing(block) {
          const page = block.div(pageSize / tileTokens).min(lastPage);
          return pagesOf(request).at(page).load({ nc: true }).ge(p.numBlocks);
        },
        scale,
      };
    },
  };
}
