import {
  array,
  defineKernel,
  global,
  type Kernel,
  type ParamDecls,
  type Value,
} from '@flash-mla/ptx';
import type { Element } from '../../../kernel-lib/cuda/element.ts';
import { e4m3Format } from '../../../kernel-lib/cuda/packed-formats.ts';
import type { Alignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import { denseListParams, denseScalarParams } from '../decode-params.ts';
import { decodeResultParams, writeDecodeResults } from '../decode-results.ts';
import { denseRequests } from '../dense-requests.ts';
import { descaledScale, oneUnlessGiven } from '../descales.ts';
import { blockTokens, forEachPiece, type Piece } from '../pieces.ts';
import { attend } from './mla/attend.ts';
import { directKeys, directRows } from './mla/direct-keys.ts';
import { maskBeyond } from './mla/mask.ts';
import { type SplitMerge, splitMergeParams, writeMergedResults } from './mla/merge-splits.ts';
import { packedKeys, packedRow } from './mla/packed-keys.ts';
import { clearMissing } from './mla/page-table.ts';
import { pagedLookup } from './mla/paged-lookup.ts';
import { warpPlace } from './mla/place.ts';
import { rawKeys, rowShare } from './mla/raw-rows.ts';
import { mlaShared } from './mla/shared.ts';
import { ctaThreads, type MlaTile } from './mla/tile.ts';

/** What the code of the dense decode kernel depends on. */
export interface DenseDecodeConfig {
  readonly tile: MlaTile;
  /** Type of q and of the cache in memory; e4m3 is multiplied as f16. */
  readonly stored: Element | 'e4m3';
  readonly outElement: Element;
  readonly pageSize: number;
  readonly queryAlignment: Alignment;
  readonly keyAlignment: Alignment;
  /** Whether CTAs merge splits among themselves; otherwise another kernel does. Balanced schedules only. */
  readonly merge?: SplitMerge;
}

const params = ({ stored, outElement }: DenseDecodeConfig) =>
  ({
    q: global(stored),
    kCache: global(stored),
    ...denseListParams,
    ...decodeResultParams(outElement),
    ...splitMergeParams,
    /** Addresses of one f32, or 0 for a factor of 1. */
    descaleQ: global('f32'),
    descaleK: global('f32'),
    /** Elements between requests, queries and heads; blocks, tokens and heads. */
    qStrides: array('u64', 3),
    kStrides: array('u64', 3),
    ...denseScalarParams,
  }) as const satisfies ParamDecls;

export type DenseDecodeParams = ReturnType<typeof params>;

/**
 * Dense decoding over a paged cache. Grid: (tiles of rows, KV heads, parts of the schedule). The rows
 * of a KV head are its queries times the heads that share it, numbered query by query.
 */
export function buildDenseDecode(config: DenseDecodeConfig): Kernel<DenseDecodeParams> {
  const { tile, stored, outElement } = config;
  const options = {
    name: 'sm80_dense_decode',
    params: params(config),
    shared: mlaShared(tile),
    block: [ctaThreads],
  } as const;
  return defineKernel(options, (k, p) => {
    if (k.target.sm >= 90) k.waitForDependencies();
    const place = warpPlace(k, tile);
    const firstRow = k.blockIdx.x.mul(tile.rows).named('first_row');
    const headK = k.blockIdx.y;
    const count = p.seqLenQ.mul(p.groupSize).sub(firstRow).named('row_count');
    const isPacked = stored === 'e4m3';
    // Read again where it is needed: a register for it is too much to ask.
    const descaleK = () => oneUnlessGiven(k, p.descaleK);
    const scale = isPacked ? descaledScale(k, p) : p.scale;

    const { queryAndHead, lengthOf, blocksOf, seenBy } = denseRequests(k, p, firstRow);
    clearMissing(k, k.shared);

    const attendPiece = (piece: Piece) => {
      const end = piece.end().as('u32');
      const request = piece.request.as('u32');
      const length = lengthOf(piece.request).named('length');
      const q = p.q.at(k.widen(request).mul(p.qStrides[0]));
      const rows = tile.rawKeys
        ? [rowShare(place, tile.tokens).row]
        : isPacked
          ? [packedRow(tile, place)]
          : directRows(tile, place);
      const rowOfTable = () => p.blockTable.at(k.mulWide(request, p.blockTableStride));
      const keysOfHead = () => p.kCache.at(k.widen(headK).mul(p.kStrides[2]));
      const [row, cache] = isPacked ? [] : [rowOfTable(), keysOfHead()];
      const tokens = {
        cache: () => cache ?? keysOfHead(),
        blockStride: p.kStrides[0],
        tokenStride: p.kStrides[1],
        pageSize: config.pageSize,
        pages: () => row ?? rowOfTable(),
        numBlocks: p.numBlocks,
        length: length.as('u32'),
      };
      const lookup = pagedLookup(k, tile, k.shared, tokens, rows);
      const { keyAlignment } = config;
      const keys = tile.rawKeys
        ? rawKeys(k, tile, k.shared, place, lookup, keyAlignment)
        : isPacked
          ? packedKeys(k, tile, k.shared, place, lookup, e4m3Format(tile.headDimQk), keyAlignment)
          : directKeys(k, tile, k.shared, place, lookup, keyAlignment);
      const limits = {
        all: seenBy(length, 0),
        ofRow: (row: Value<'u32'>) => seenBy(length, queryAndHead(row).query),
      };

      const tilesPerBlock = blockTokens / tile.tokens;
      const used = length
        .as('u32')
        .add(tile.tokens - 1)
        .shr(Math.log2(tile.tokens));
      const from = piece.from.as('u32').mul(tilesPerBlock);
      const { state, outputs } = attend(k, {
        tile,
        shared: k.shared,
        place,
        query: {
          stored,
          alignment: config.queryAlignment,
          count: count.min(tile.rows),
          pointer: (row) => {
            const { query, head } = queryAndHead(row);
            return q.at(k.widen(query).mul(p.qStrides[1])).at(k.widen(head).mul(p.qStrides[2]));
          },
        },
        keys,
        mask: maskBeyond(k, tile, k.shared, place, limits),
        from,
        to: end.mul(tilesPerBlock).min(used).max(from.add(1)),
        scale,
      });
      const results = {
        ...{ tile, shared: k.shared, place, state, outputs, piece, count, outElement },
        queryAndHead,
        factor: isPacked ? descaleK : undefined,
      };
      const { merge } = config;
      if (merge === undefined) writeDecodeResults(k, p, results);
      else {
        const part = k.blockIdx.z;
        const member = k.mad(headK, k.gridDim.x, k.blockIdx.x);
        const members = k.gridDim.x.mul(k.gridDim.y);
        writeMergedResults(k, p, { ...results, merge, part, member, members });
      }
    };
    forEachPiece(k, p, k.blockIdx.z, blocksOf, attendPiece);
  });
}
