import {
  array,
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type ParamValues,
  type Value,
} from '@flash-mla/ptx';
import type { Element } from '../../../kernel-lib/cuda/element.ts';
import type { Alignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import { attendMha } from './mha/attend.ts';
import { laneRows, writeResults } from './mha/results.ts';
import { type MhaTile, mhaShape, mhaShared } from './mha/tile.ts';
import { type RequestTokens, tokenTiles } from './mha/tokens.ts';
import { clearMissing, pagesOf } from './mla/page-table.ts';

/** What the code of the dense attention kernel depends on. */
export interface DenseAttentionConfig {
  readonly tile: MhaTile;
  /** Whether requests have queries of different lengths. */
  readonly hasCuSeqlensQ: boolean;
  /** `packed`: one request after another; `blocks`: one block each; `paged`: by a block table. */
  readonly keys: 'packed' | 'blocks' | 'paged';
  /** 0 unless paged. */
  readonly pageSize: number;
  readonly queryAlignment: Alignment;
  readonly keyAlignment: Alignment;
  readonly valueAlignment: Alignment;
}

const params = (element: Element) =>
  ({
    q: global(element),
    k: global(element),
    v: global(element),
    /** (b + 1) where requests differ; else each has `lengthQ` queries, which is the most of a request. */
    cuSeqlensQ: global('s32'),
    lengthQ: 's32',
    /** `packed`: (b + 1) offsets up to `capacity`; otherwise (b) lengths, of which no more count. */
    lengthsK: global('s32'),
    capacity: 's32',
    /** (b, maxBlocks). */
    blockTable: global('u32'),
    blockTableStride: 'u32',
    /** Blocks of the cache. */
    numBlocks: 'u32',
    /** (totalQ, hQ, dV) and (hQ, totalQ). */
    out: global(element),
    lse: global('f32'),
    totalQ: 'u32',
    numHeadsQ: 'u32',
    /** Query heads that share a KV head. */
    groupSize: 'u32',
    /** Tiles of rows of a request, at most. */
    rowTiles: 'u32',
    /** Elements between queries and heads; blocks (`packed`: 0), tokens and heads. */
    qStrides: array('u64', 2),
    kStrides: array('u64', 3),
    vStrides: array('u64', 3),
    /** 1: the last query sees all keys, each before it one fewer. */
    causal: 's32',
    /** Softmax scale · log2 e. */
    scale: 'f32',
  }) as const satisfies ParamDecls;

export type DenseAttentionParams = ReturnType<typeof params>;
type Params = ParamValues<DenseAttentionParams>;

/**
 * Dense attention with keys and values of their own. Grid: (tiles of rows × requests, KV heads). The
 * rows of a KV head are a request's queries times the heads that share it, query by query.
 */
export function buildDenseAttention(config: DenseAttentionConfig): Kernel<DenseAttentionParams> {
  const { tile } = config;
  const { rows, rowsPerWarp, threads } = mhaShape(tile);
  const options = {
    name: 'sm80_dense_attention',
    params: params(tile.element),
    shared: mhaShared(
      tile,
      pagesOf(config.keys === 'paged' ? config.pageSize : undefined, tile.tokens),
    ),
    block: [threads],
  } as const;
  return defineKernel(options, (k, p) => {
    const request = k.blockIdx.x.div(p.rowTiles).named('request');
    // Later queries see more keys: they go first, so that short work fills the gaps at the end.
    const rank = k.blockIdx.x.sub(request.mul(p.rowTiles));
    const firstRow = p.rowTiles.sub(1).sub(rank).mul(rows).named('first_row');
    const headK = k.blockIdx.y;
    const { beginQ, lengthQ } = requestQueries(k, config, p, request);
    const count = lengthQ.as('u32').mul(p.groupSize).named('row_count');
    k.if(firstRow.ge(count), () => k.exit(), { uniform: true });

    const rowsLeft = count.sub(firstRow);
    const queryAndHead = (row: Value<'u32'>) => {
      const index = firstRow.add(row);
      const query = index.div(p.groupSize);
      const head = k.mad(headK, p.groupSize, index.sub(query.mul(p.groupSize)));
      return { query, head };
    };
    clearMissing(k, k.shared);
    const keys = requestKeys(k, config, p, request, headK);
    /** Tokens that a row of the CTA sees. */
    const limit = (row: Value<'u32'>) => {
      const later = lengthQ.sub(1).sub(queryAndHead(row).query.as('s32'));
      return keys.length.as('s32').sub(p.causal.mul(later)).max(0).as('u32');
    };
    // Rows beyond the last see as much as it does, but a warp that has no others sees nothing.
    const last = rowsLeft.min(rows).sub(1);
    const warpRow = k.warpId.mul(rowsPerWarp).named('warp_row');
    const isIdle = warpRow.gt(last);
    const limits = {
      all: limit(warpRow.min(last)),
      any: k.select<'u32'>(isIdle, 0, limit(warpRow.add(rowsPerWarp - 1).min(last))),
      rows: () => laneRows(k, tile).map((pair) => pair.map((row) => limit(row.min(last)))),
    };
    const tiles = limit(last)
      .add(tile.tokens - 1)
      .shr(Math.log2(tile.tokens))
      .named('tiles');

    const { states, outputs } = attendMha(k, {
      tile,
      shared: k.shared,
      queries: {
        alignment: config.queryAlignment,
        count: rowsLeft,
        pointer: (row) => {
          const { query, head } = queryAndHead(row);
          const token = k.widen(beginQ.as('u32').add(query));
          return p.q.at(token.mul(p.qStrides[0])).at(k.widen(head).mul(p.qStrides[1]));
        },
      },
      tokens: tokenTiles(k, tile, k.shared, keys),
      limits,
      tiles,
      scale: p.scale,
    });
    writeResults(k, tile, states, outputs, {
      count: rowsLeft,
      out: (row) => {
        const { query, head } = queryAndHead(row);
        const token = beginQ.as('u32').add(query);
        const index = k.mulWide(token, p.numHeadsQ).add(k.widen(head));
        return p.out.at(index.mul(tile.headDimV));
      },
      lse: (row) => {
        const { query, head } = queryAndHead(row);
        const token = beginQ.as('u32').add(query);
        return p.lse.at(k.mulWide(head, p.totalQ).add(k.widen(token)));
      },
    });
  });
}

/** The first query of a request and how many it has. */
function requestQueries(
  k: Ops,
  { hasCuSeqlensQ }: DenseAttentionConfig,
  p: Params,
  request: Value<'u32'>,
): { readonly beginQ: Value<'s32'>; readonly lengthQ: Value<'s32'> } {
  if (!hasCuSeqlensQ) {
    return { beginQ: request.as('s32').mul(p.lengthQ), lengthQ: p.lengthQ };
  }
  const { begin, length } = span(p.cuSeqlensQ, request, p.totalQ.as('s32'));
  const beginQ = k.copy(begin).named('begin_q');
  return { beginQ, lengthQ: length.min(p.lengthQ).named('length_q') };
}

/** Where a request begins in a packed array of `total` rows, and how many it has there. */
function span(offsets: Params['lengthsK'], request: Value<'u32'>, total: Value<'s32'>) {
  const at = offsets.at(request);
  const begin = at.load({ nc: true }).max(0).min(total);
  return { begin, length: at.at(1).load({ nc: true }).min(total).sub(begin).max(0) };
}

/** Where the keys and values of a request are. */
function requestKeys(
  k: Ops,
  { keys, pageSize, keyAlignment, valueAlignment }: DenseAttentionConfig,
  p: Params,
  request: Value<'u32'>,
  headK: Value<'u32'>,
): RequestTokens {
  const inCache = () => p.lengthsK.at(request).load({ nc: true }).max(0).min(p.capacity);
  const { begin: start, length } =
    keys === 'packed'
      ? span(p.lengthsK, request, p.capacity)
      : { begin: k.constant('s32', 0), length: inCache() };
  const rows = (from: Params['k'], strides: Params['kStrides'], alignment: Alignment) => {
    const [pageStride, tokenStride, headStride] = strides;
    const head = from.at(k.widen(headK).mul(headStride));
    const skipped =
      keys === 'packed'
        ? k.widen(start.as('u32')).mul(tokenStride)
        : k.widen(request).mul(pageStride);
    const first = keys === 'paged' ? head : head.at(skipped).folded();
    return { first, pageStride, tokenStride, alignment };
  };
  const pages = p.blockTable.at(k.mulWide(request, p.blockTableStride));
  return {
    keys: rows(p.k, p.kStrides, keyAlignment),
    values: rows(p.v, p.vStrides, valueAlignment),
    length: length.as('u32').named('length_k'),
    paged: keys === 'paged' ? { pageSize, pages: () => pages, numBlocks: p.numBlocks } : undefined,
  };
}
