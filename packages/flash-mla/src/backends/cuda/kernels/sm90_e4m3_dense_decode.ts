import {
  array,
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Pointer,
  tensorMap,
  type Value,
} from '@flash-mla/ptx';
import type { Blocks } from './hopper/consume.ts';
import { consumerPlace } from './hopper/place.ts';
import { releaseCombine } from './hopper/release-combine.ts';
import { awaitTarget, hasNext, publishTarget } from './hopper/target.ts';
import { ctaThreads, headDimV } from './hopper/tile.ts';
import { initBarriers } from './hopper-e4m3/barriers.ts';
import { E4m3Consumer } from './hopper-e4m3/consume.ts';
import { fetchKeys } from './hopper-e4m3/fetch-keys.ts';
import { fetchQuery } from './hopper-e4m3/fetch-query.ts';
import { bothConsumers } from './hopper-e4m3/team.ts';
import {
  consumerRegisters,
  type E4m3Tile,
  e4m3Layout,
  producerRegisters,
} from './hopper-e4m3/tile.ts';
import { writeResults } from './hopper-swapped/results.ts';
import { ringPosition } from './hopper-swapped/ring.ts';
import { resetRows, rowState } from './hopper-swapped/row-state.ts';
import { decodeResultParams } from './mla/decode-results.ts';
import { blockTokens, forEachPiece, type Piece } from './mla/pieces.ts';
import type { Element } from './mla/tile.ts';

/** What the code of the kernel depends on. */
export interface E4m3DenseDecodeConfig {
  readonly tile: E4m3Tile;
  readonly outElement: Element;
  /** A multiple of 64. */
  readonly pageSize: number;
}

const params = ({ outElement }: E4m3DenseDecodeConfig) =>
  ({
    /** The cache: (576 columns, tokens of a page, KV heads, pages). */
    keys: tensorMap('e4m3'),
    q: global('e4m3'),
    /** (b, maxBlocks). */
    blockTable: global('u32'),
    /** (b). */
    seqlens: global('s32'),
    /** (parts, 8) and (b + 1). */
    metadata: global('s32'),
    numSplits: global('s32'),
    ...decodeResultParams(outElement),
    /** Addresses of one f32, or 0 for a factor of 1. */
    descaleQ: global('f32'),
    descaleK: global('f32'),
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

export type E4m3DenseDecodeParams = ReturnType<typeof params>;

/**
 * Dense decoding of few query rows over a paged e4m3 cache on warp groups. Grid: (1, KV heads, parts of
 * the schedule). Tokens are the rows of the multiplications, so that few query rows cost little: scores
 * are keys × queriesᵀ, outputs are Vᵀ × weightsᵀ, with keys and V converted to f16 on their way through
 * registers. One warp group fetches, two compute.
 */
export function buildE4m3DenseDecode(config: E4m3DenseDecodeConfig): Kernel<E4m3DenseDecodeParams> {
  const { tile, outElement, pageSize } = config;
  const options = {
    name: 'sm90_e4m3_dense_decode',
    params: params(config),
    shared: e4m3Layout(tile),
    block: [ctaThreads],
    minBlocksPerSm: 1,
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
    const headK = k.blockIdx.y;
    const count = p.seqLenQ.mul(p.groupSize).named('row_count');
    initBarriers(k, shared, tile);
    k.waitForDependencies();

    const queryAndHead = (row: Value<'u32'>) => {
      const query = row.div(p.groupSize);
      const head = k.mad(headK, p.groupSize, row.sub(query.mul(p.groupSize)));
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
      const ring = ringPosition(k, tile.stages, 1);
      forPieces((piece) => {
        const pages = p.blockTable.at(k.mulWide(piece.request.as('u32'), p.blockTableStride));
        const blocks = { map: p.keys, headK, pageSize, pages };
        fetchKeys(k, shared, ring, blocks, piece.from.as('u32'), piece.to.as('u32'));
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
        fetchQuery(k, shared, tile, source, parity);
        k.if(k.threadIdx.x.eq(32), () => publishTarget(k, shared, piece, parity.xor(1)));
        parity.set(parity.xor(1));
      });
    };

    const consume = () => {
      const place = consumerPlace(k, group);
      const state = rowState(k, tile.rows);
      const team = bothConsumers(k, shared, place);
      const consumer = new E4m3Consumer(k, shared, tile, team, place, state);
      /** `valueFragments` makes pairs of neighbouring columns. */
      const first = k
        .mad(place.consumer, headDimV / 2, place.thread.shr(5).shl(6))
        .add(place.lane.shr(2).shl(1))
        .named('first_column');
      const columns = { first, offsets: [0, 16, 32, 48] };
      const parity = k.var('u32', 0).named('query_parity');
      const factor = oneUnlessGiven(k, p.descaleK);
      const scale = p.scale.mul(oneUnlessGiven(k, p.descaleQ)).mul(factor);
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
          scale,
        };
        resetRows(state);
        const target = consumer.attend(blocks, parity, () => awaitTarget(k, shared, parity));
        releaseCombine(k, hasNext(shared, parity).not());
        const where = { team, place, columns, piece, target, count, queryAndHead };
        writeResults(k, p, { ...where, state, outElement, factor });
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
  });
}

function oneUnlessGiven(k: Ops, pointer: Pointer<'global', 'f32'>): Value<'f32'> {
  const factor = k.var('f32', 1);
  k.if(pointer.address().ne(0), () => factor.set(pointer.load()));
  return factor;
}
