import {
  array,
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Pointer,
  type Value,
} from '@flash-mla/ptx';
import type { KvRowLayout } from '../../backend.ts';
import { attend, startKeyCopies, startQueryCopy } from './mla/attend.ts';
import type { Alignment } from './mla/copy.ts';
import { decodeResultParams, writeDecodeResults } from './mla/decode-results.ts';
import { maskMissing } from './mla/mask.ts';
import { type PickedTokens, pickedLookup } from './mla/picked-lookup.ts';
import { blockTokens, type Piece, walkPieces } from './mla/pieces.ts';
import { warpPlace } from './mla/place.ts';
import type { QueryRows } from './mla/query.ts';
import { keysOfLayout } from './mla/rows-of-layout.ts';
import { mlaShared } from './mla/shared.ts';
import { ctaThreads, type MlaTile } from './mla/tile.ts';

/** What the code of the sparse decode kernel depends on. */
export interface SparseDecodeConfig {
  readonly tile: MlaTile;
  readonly layout: KvRowLayout;
  readonly pageSize: number;
  /** 0: there is no extra cache. */
  readonly extraPageSize: number;
  readonly hasSink: boolean;
  readonly queryAlignment: Alignment;
  readonly keyAlignment: Alignment;
  /** Whether it lets the kernel behind it start before it ends (sm_90 up). */
  readonly releasesNext?: boolean;
  /** Whether outputs are stored in whole lines, by way of the keys' place. */
  readonly stagesResults?: boolean;
  /** Whether the next piece's first copies start before the results of a piece are stored. */
  readonly startsAhead?: boolean;
}

const params = ({ layout }: SparseDecodeConfig) => {
  const cache = global(layout === 'bf16' ? 'bf16' : 'u8');
  return {
    q: global('bf16'),
    /** Caches; numbers of tokens per query; entries that count per request, or address 0: all. */
    mainCache: cache,
    mainIndices: global('s32'),
    mainLengths: global('s32'),
    extraCache: cache,
    extraIndices: global('s32'),
    extraLengths: global('s32'),
    /** (parts, 8) and (b + 1). */
    metadata: global('s32'),
    numSplits: global('s32'),
    ...decodeResultParams('bf16'),
    /** (hQ), natural. */
    sink: global('f32'),
    /** Elements between requests, queries and heads; blocks and tokens; requests and queries. */
    qStrides: array('u64', 3),
    mainStrides: array('u64', 2),
    extraStrides: array('u64', 2),
    mainIndexStrides: array('u64', 2),
    extraIndexStrides: array('u64', 2),
    mainTopk: 's32',
    extraTopk: 's32',
    /** Tokens of the caches. */
    mainTokens: 'u32',
    extraTokens: 'u32',
    splitBlocks: 's32',
    /** Softmax scale · log2 e. */
    scale: 'f32',
  } as const satisfies ParamDecls;
};

export type SparseDecodeParams = ReturnType<typeof params>;

/**
 * Token-sparse decoding. Grid: (queries, tiles of heads, parts of the schedule): every query picks tokens
 * of its own, so a tile holds heads of one query.
 */
export function buildSparseDecode(config: SparseDecodeConfig): Kernel<SparseDecodeParams> {
  const { tile, layout, hasSink, startsAhead = false } = config;
  const options = {
    name: 'sm80_sparse_decode',
    params: params(config),
    shared: mlaShared(tile),
    block: [ctaThreads],
  } as const;
  return defineKernel(options, (k, p) => {
    if (config.releasesNext) k.launchDependents();
    const place = warpPlace(k, tile);
    const query = k.blockIdx.x;
    const firstHead = k.blockIdx.y.mul(tile.rows).named('first_head');
    const count = p.numHeadsQ.sub(firstHead);

    const lengthOf = (
      lengths: Pointer<'global', 's32'>,
      topk: Value<'s32'>,
      request: Value<'s32'>,
    ) => {
      const length = k.var('s32', topk);
      const given = () => length.set(lengths.at(request).load({ nc: true }).max(0).min(topk));
      k.if(lengths.address().ne(0), given, { uniform: true });
      return length;
    };
    const blocks = (length: Value<'s32'>) =>
      length.add(blockTokens - 1).shr(Math.log2(blockTokens));
    const mainLength = (request: Value<'s32'>) => lengthOf(p.mainLengths, p.mainTopk, request);
    const extraLength = (request: Value<'s32'>) => lengthOf(p.extraLengths, p.extraTopk, request);
    const hasExtra = config.extraPageSize > 0;
    const mainBlocks = (request: Value<'s32'>) => blocks(mainLength(request)).max(1);
    const blocksOf = (request: Value<'s32'>) =>
      hasExtra ? mainBlocks(request).add(blocks(extraLength(request))) : mainBlocks(request);

    const walk = walkPieces(k, p, k.blockIdx.z, blocksOf);
    const { request } = walk;
    const wideRequest = () => k.widen(request.as('u32'));
    /** Tokens of the piece's request. */
    const mainTokens = k.var('s32', 0).named('main_tokens');
    const extraTokens = k.var('s32', 0).named('extra_tokens');
    const picks = (
      name: 'main' | 'extra',
      pageSize: number,
      length: Value<'s32'>,
    ): PickedTokens => {
      const [perRequest, perQuery] = p[`${name}IndexStrides`];
      const [blockStride, tokenStride] = p[`${name}Strides`];
      return {
        cache: p[`${name}Cache`],
        blockStride,
        tokenStride: layout === 'model1' ? 'packed' : tokenStride,
        pageSize,
        tokens: p[`${name}Tokens`],
        indices: () =>
          p[`${name}Indices`].at(wideRequest().mul(perRequest)).at(k.widen(query).mul(perQuery)),
        length: length.as('u32'),
      };
    };
    const tilesPerBlock = blockTokens / tile.tokens;
    const main = picks('main', config.pageSize, mainTokens);
    const second = hasExtra
      ? {
          tokens: picks('extra', config.extraPageSize, extraTokens),
          firstTile: () => blocks(mainTokens).max(1).as('u32').mul(tilesPerBlock),
        }
      : undefined;
    const keys = keysOfLayout(k, tile, k.shared, place, layout, config.keyAlignment, (rows) =>
      pickedLookup(k, tile, main, second, rows),
    );
    const seePiece = () => {
      mainTokens.set(mainLength(request));
      if (hasExtra) extraTokens.set(extraLength(request));
    };
    const tilesOf = (piece: Piece) => ({
      from: piece.from.as('u32').mul(tilesPerBlock),
      to: piece.to.as('u32').mul(tilesPerBlock),
    });
    const queryRows = (): QueryRows => {
      const q = p.q
        .at(wideRequest().mul(p.qStrides[0]))
        .at(k.widen(query).mul(p.qStrides[1]))
        .at(k.widen(firstHead).mul(p.qStrides[2]));
      return {
        stored: 'bf16',
        alignment: config.queryAlignment,
        count: count.min(tile.rows),
        pointer: (row) => q.at(k.widen(row).mul(p.qStrides[2])),
      };
    };
    const common = { tile, shared: k.shared, place, keys };
    const startQuery = () => {
      seePiece();
      startQueryCopy(k, { ...common, query: queryRows(), ...tilesOf(walk.piece()) });
    };
    const startKeys = () => startKeyCopies(k, { keys, ...tilesOf(walk.piece()) }, 1);

    if (startsAhead) {
      k.if(
        walk.exists(),
        () => {
          startQuery();
          startKeys();
        },
        { uniform: true },
      );
    }
    const body = () => {
      const piece = walk.piece();
      if (!startsAhead) seePiece();
      const { state, outputs } = attend(k, {
        ...common,
        query: queryRows(),
        isStarted: startsAhead,
        mask: maskMissing(k, tile, k.shared, place),
        ...tilesOf(piece),
        scale: p.scale,
      });
      const current = startsAhead ? hold(k, piece) : piece;
      if (startsAhead) {
        walk.advance();
        k.if(walk.exists(), startQuery, { uniform: true });
      }
      writeDecodeResults(k, p, {
        tile,
        shared: k.shared,
        place,
        state,
        outputs,
        piece: current,
        count,
        outElement: 'bf16',
        queryAndHead: (row) => ({ query, head: firstHead.add(row) }),
        isStaged: config.stagesResults,
        beforeStores: startsAhead
          ? () => k.if(walk.exists(), startKeys, { uniform: true })
          : undefined,
        sink: hasSink ? (head) => p.sink.at(head).load() : undefined,
      });
      if (!startsAhead) walk.advance();
    };
    k.while(walk.exists, body, { uniform: true, name: 'piece' });
  });
}

/** A piece that stays what it is when its walk goes on. */
function hold(k: Ops, piece: Piece): Piece {
  const target = piece.target();
  return { ...piece, request: k.copy<'s32'>(piece.request), target: () => target };
}
