import {
  array,
  defineKernel,
  global,
  type Kernel,
  type ParamDecls,
  type Pointer,
  type Value,
} from '@flash-mla/ptx';
import type { Alignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import type { KvRowLayout } from '../../../kernel-lib/row-layout.ts';
import { scheduleParams } from '../decode-params.ts';
import { decodeResultParams, writeDecodeResults } from '../decode-results.ts';
import { blockTokens, forEachPiece, type Piece } from '../pieces.ts';
import { attend } from './mla/attend.ts';
import { maskMissing } from './mla/mask.ts';
import { type PickedTokens, pickedLookup } from './mla/picked-lookup.ts';
import { warpPlace } from './mla/place.ts';
import { keysOfLayout } from './mla/rows-of-layout.ts';
import { mlaShared } from './mla/shared.ts';
import { canStageResults } from './mla/staged-results.ts';
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
    ...scheduleParams,
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
  const { tile, layout, hasSink } = config;
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

    const attendPiece = (piece: Piece) => {
      const end = piece.end().as('u32');
      const request = k.widen(piece.request.as('u32'));
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
            p[`${name}Indices`]
              .at(k.widen(piece.request.as('u32')).mul(perRequest))
              .at(k.widen(query).mul(perQuery)),
          length: length.as('u32'),
        };
      };
      const tilesPerBlock = blockTokens / tile.tokens;
      const length = mainLength(piece.request);
      const main = picks('main', config.pageSize, length);
      const second = hasExtra
        ? {
            tokens: picks('extra', config.extraPageSize, extraLength(piece.request)),
            firstTile: () => blocks(length).max(1).as('u32').mul(tilesPerBlock),
          }
        : undefined;
      const keys = keysOfLayout(k, tile, k.shared, place, layout, config.keyAlignment, (rows) =>
        pickedLookup(k, tile, main, second, rows),
      );
      const q = p.q
        .at(request.mul(p.qStrides[0]))
        .at(k.widen(query).mul(p.qStrides[1]))
        .at(k.widen(firstHead).mul(p.qStrides[2]));
      const { state, outputs } = attend(k, {
        tile,
        shared: k.shared,
        place,
        query: {
          stored: 'bf16',
          alignment: config.queryAlignment,
          count: count.min(tile.rows),
          pointer: (row) => q.at(k.widen(row).mul(p.qStrides[2])),
        },
        keys,
        mask: maskMissing(k, tile, k.shared, place),
        from: piece.from.as('u32').mul(tilesPerBlock),
        to: end.mul(tilesPerBlock),
        scale: p.scale,
      });
      writeDecodeResults(k, p, {
        tile,
        shared: k.shared,
        place,
        state,
        outputs,
        piece,
        count,
        outElement: 'bf16',
        isStaged: canStageResults(tile),
        queryAndHead: (row) => ({ query, head: firstHead.add(row) }),
        sink: hasSink ? (head) => p.sink.at(head).load() : undefined,
      });
    };
    forEachPiece(k, p, k.blockIdx.z, blocksOf, attendPiece);
  });
}
