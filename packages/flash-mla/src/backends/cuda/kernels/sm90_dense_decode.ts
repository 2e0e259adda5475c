import {
  array,
  defineKernel,
  global,
  type Kernel,
  type ParamDecls,
  tensorMap,
  type Value,
} from '@flash-mla/ptx';
import { type Blocks, Consumer } from './hopper/consume.ts';
import { fetchKeys, ringPosition } from './hopper/fetch-keys.ts';
import { fetchQuery } from './hopper/fetch-query.ts';
import { consumerPlace } from './hopper/place.ts';
import { releaseCombine } from './hopper/release-combine.ts';
import { writeResults } from './hopper/results.ts';
import { initBarriers } from './hopper/ring.ts';
import { resetRows, rowState } from './hopper/row-state.ts';
import { awaitTarget, hasNext, publishTarget } from './hopper/target.ts';
import {
  consumerRegisters,
  ctaThreads,
  type HopperTile,
  headDimV,
  hopperLayout,
  producerRegisters,
  queryThreads,
  tileRows,
} from './hopper/tile.ts';
import { decodeResultParams } from './mla/decode-results.ts';
import { blockTokens, forEachPiece, type Piece } from './mla/pieces.ts';
import type { Element } from './mla/tile.ts';

/** What the code of the kernel depends on. */
export interface HopperDenseDecodeConfig {
  readonly tile: HopperTile;
  readonly outElement: Element;
  /** A multiple of 64. */
  readonly pageSize: number;
}

/** Parameters of the family's kernels for 16-bit caches. */
export const hopperDenseDecodeParams = (element: Element, outElement: Element) =>
  ({
    /** The cache: (64 columns, tokens of a page, 9 tiles, KV heads, pages). */
    keys: tensorMap(element),
    q: global(element),
    /** (b, maxBlocks). */
    blockTable: global('u32'),
    /** (b). */
    seqlens: global('s32'),
    /** (parts, 8) and (b + 1). */
    metadata: global('s32'),
    numSplits: global('s32'),
    ...decodeResultParams(outElement),
    /** Elements between requests, queries and heads. */
    qStrides: array('u64', 3),
    blockTableStride: 'u32',
    /** Tokens that a row of the block table can name. */
    capacity: 's32',
    /** Query heads that share a KV head. */
    groupSize: 'u32',
    splitBlocks: 's32',
    /** 1: query i of sQ sees keys up to length − sQ + i. */
    causal: 'u32',
    /** Softmax scale · log2 e. */
    scale: 'f32',
  }) as const satisfies ParamDecls;

export type HopperDenseDecodeParams = ReturnType<typeof hopperDenseDecodeParams>;

/**
 * Dense decoding over a paged cache on warp groups. Grid: (tiles of 64 rows, KV heads, parts of the
 * schedule); clusters of neighbouring row tiles share the keys that each loads. One warp group fetches,
 * two compute.
 */
export function buildHopperDenseDecode(
  config: HopperDenseDecodeConfig,
): Kernel<HopperDenseDecodeParams> {
  const { tile, outElement, pageSize } = config;
  const options = {
    name: 'sm90_dense_decode',
    params: hopperDenseDecodeParams(tile.element, outElement),
    shared: hopperLayout(tile.element),
    block: [ctaThreads],
    minBlocksPerSm: 1,
    cluster: [tile.clusterSize],
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
    const firstRow = k.blockIdx.x.mul(tileRows).named('first_row');
    const headK = k.blockIdx.y;
    const count = p.seqLenQ.mul(p.groupSize).sub(firstRow).named('row_count');
    initBarriers(k, shared, tile, queryThreads);
    k.waitForDependencies();

    const queryAndHead = (row: Value<'u32'>) => {
      const index = firstRow.add(row);
      const query = index.div(p.groupSize);
      const head = k.mad(headK, p.groupSize, index.sub(query.mul(p.groupSize)));
      return { query, head };
    };
    const lengthOf = (request: Value<'s32'>) =>
      p.seqlens.at(request).load({ nc: true }).max(0).min(p.capacity);
    const blocksOf = (request: Value<'s32'>) =>
      lengthOf(request)
        .add(blockTokens - 1)
        .shr(Math.log2(blockTokens))
        .max(1);
    const forPieces = (body: (piece: Piece) => void, continues?: () => Value<'pred'>) =>
      forEachPiece(k, p, k.blockIdx.z, blocksOf, body, continues);

    const fetchAllKeys = () => {
      k.if(k.electSync(), () => k.prefetchTensorMap(p.keys));
      const ring = ringPosition(k, 1);
      forPieces((piece) => {
        const pages = p.blockTable.at(k.mulWide(piece.request.as('u32'), p.blockTableStride));
        const blocks = { map: p.keys, headK, pageSize, pages };
        fetchKeys(k, shared, tile, ring, blocks, piece.from.as('u32'), piece.to.as('u32'));
      });
    };

    const fetchAllQueries = () => {
      const parity = k.var('u32', 1);
      forPieces((piece) => {
        const q = p.q.at(k.widen(piece.request.as('u32')).mul(p.qStrides[0]));
        const source = {
          count,
          pointer: (row: Value<'u32'>) => {
            const { query, head } = queryAndHead(row);
            return q.at(k.widen(query).mul(p.qStrides[1])).at(k.widen(head).mul(p.qStrides[2]));
          },
        };
        fetchQuery(k, shared, tileRows, source, parity);
        k.if(k.threadIdx.x.eq(32), () => publishTarget(k, shared, piece, parity.xor(1)));
        parity.set(parity.xor(1));
      });
    };

    const consume = () => {
      const place = consumerPlace(k, group);
      const state = rowState(k, headDimV / 2);
      const consumer = new Consumer(k, shared, tile, place, state);
      const parity = k.var('u32', 0).named('query_parity');
      const attendPiece = (piece: Piece) => {
        const length = lengthOf(piece.request).named('length');
        /** Tokens that a query sees. */
        const limit = (query: Value<'u32'> | 0) => {
          const later = p.seqLenQ.sub(1).sub(query);
          return length.sub(p.causal.mul(later).as('s32')).max(0).as('u32');
        };
        const blocks: Blocks = {
          from: piece.from.as('u32'),
          to: piece.to.as('u32'),
          length: length.as('u32'),
          seenByAll: limit(0),
          limitOfRow: (row) => limit(queryAndHead(row).query),
          scale: p.scale,
        };
        resetRows(state);
        consumer.loadQuery(parity);
        consumer.attend(blocks);
        const target = awaitTarget(k, shared, parity);
        consumer.releaseQuery();
        releaseCombine(k, hasNext(shared, parity).not());
        const where = { shared, place, piece, target, parity, count, queryAndHead };
        const results = { ...where, state, outElement };
        writeResults(k, p, results);
        parity.set(parity.xor(1));
      };
      forPieces(attendPiece, () => hasNext(shared, parity.xor(1)));
    };

    k.if(
      group.eq(0),
      () => {
        k.setMaxRegisters(producerRegisters, 'decrease');
        k.if(k.threadIdx.x.lt(32), fetchAllKeys, fetchAllQueries, { uniform: true });
      },
      () => {
        k.setMaxRegisters(consumerRegisters, 'increase');
        consume();
      },
      { uniform: true },
    );
    // No CTA may end while another may still copy into it or arrive at its barriers.
    if (tile.clusterSize > 1) k.clusterBarrier();
  });
}
