import { defineKernel, type Kernel, type Value } from '@flash-mla/ptx';
import type { Blocks } from './hopper/consume.ts';
import { fetchQuery } from './hopper/fetch-query.ts';
import { consumerPlace } from './hopper/place.ts';
import { releaseCombine } from './hopper/release-combine.ts';
import { awaitTarget, hasNext, publishTarget } from './hopper/target.ts';
import { consumerRegisters, ctaThreads, producerRegisters } from './hopper/tile.ts';
import { initBarriers } from './hopper-few/barriers.ts';
import { FewRowsConsumer } from './hopper-few/consume.ts';
import { fetchKeys } from './hopper-few/fetch-keys.ts';
import { pairColumns } from './hopper-few/neighbours.ts';
import { partRings } from './hopper-few/rings.ts';
import { ownConsumer } from './hopper-few/team.ts';
import { fewRows, fewRowsLayout } from './hopper-few/tile.ts';
import { writeResults } from './hopper-swapped/results.ts';
import { resetRows, rowState } from './hopper-swapped/row-state.ts';
import { blockTokens, forEachPiece, type Piece } from './mla/pieces.ts';
import type { Element } from './mla/tile.ts';
import { type HopperDenseDecodeParams, hopperDenseDecodeParams } from './sm90_dense_decode.ts';

/** What the code of the kernel depends on. */
export interface FewRowsDenseDecodeConfig {
  readonly element: Element;
  readonly outElement: Element;
  /** A multiple of 64. */
  readonly pageSize: number;
}

/**
 * Dense decoding of few query rows over a paged cache on warp groups. Grid: (1, KV heads, parts of the
 * schedule). Tokens are the rows of the multiplications, so that few query rows cost little: scores are
 * keys × queriesᵀ, outputs are Vᵀ × weightsᵀ. One warp group fetches, two compute.
 */
export function buildFewRowsDenseDecode(
  config: FewRowsDenseDecodeConfig,
): Kernel<HopperDenseDecodeParams> {
  const { element, outElement, pageSize } = config;
  const options = {
    name: 'sm90_few_rows_dense_decode',
    params: hopperDenseDecodeParams(element, outElement),
    shared: fewRowsLayout(element),
    block: [ctaThreads],
    minBlocksPerSm: 1,
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
    const headK = k.blockIdx.y;
    const count = p.seqLenQ.mul(p.groupSize).named('row_count');
    initBarriers(k, shared);
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
      const rings = partRings(k, 1);
      forPieces((piece) => {
        const pages = p.blockTable.at(k.mulWide(piece.request.as('u32'), p.blockTableStride));
        const blocks = { map: p.keys, headK, pageSize, pages };
        fetchKeys(k, shared, rings, blocks, piece.from.as('u32'), piece.to.as('u32'));
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
        fetchQuery(k, shared, fewRows, source, parity);
        k.if(k.threadIdx.x.eq(32), () => publishTarget(k, shared, piece, parity.xor(1)));
        parity.set(parity.xor(1));
      });
    };

    const consume = () => {
      const place = consumerPlace(k, group);
      const state = rowState(k, fewRows);
      const team = ownConsumer(k, shared, place);
      const consumer = new FewRowsConsumer(k, shared, element, team, place, state);
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
        const target = consumer.attend(blocks, parity, () => awaitTarget(k, shared, parity));
        releaseCombine(k, hasNext(shared, parity).not());
        const columns = pairColumns(k, place, state);
        const where = { team, place, columns, piece, target, count, queryAndHead };
        writeResults(k, p, { ...where, state, outElement });
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
