import { defineKernel, type Kernel } from '@flash-mla/ptx';
import type { Element } from '../../../kernel-lib/cuda/element.ts';
import { decodeGeometry, type HeadDims } from '../../../kernel-lib/cuda/sm90/geometry.ts';
import { twoStages } from '../../../kernel-lib/cuda/sm90/pipeline-state.ts';
import { consumerPlace } from '../../../kernel-lib/cuda/sm90/place.ts';
import { warpGroup } from '../../../kernel-lib/cuda/sm90/roles.ts';
import type { Piece } from '../pieces.ts';
import { fetchQuery } from './dense/fetch-query.ts';
import { type DecodeParams, decodeParams } from './dense/params.ts';
import { releaseCombine } from './dense/release-combine.ts';
import { fetchAllQueries, takeDecodeRoles } from './dense/roles.ts';
import { awaitTarget, hasNext } from './dense/target.ts';
import { consumerRegisters, ctaThreads, mlaGeometry, producerRegisters } from './dense/tile.ts';
import { workOf } from './dense/work.ts';
import { initBarriers } from './few-rows/barriers.ts';
import { FewRowsConsumer } from './few-rows/consume.ts';
import { fetchKeys } from './few-rows/fetch-keys.ts';
import { pairColumns } from './few-rows/neighbours.ts';
import { groupOfConsumer } from './few-rows/reduction-group.ts';
import { fewRows, fewRowsLayout, keyPartsOf } from './few-rows/tile.ts';
import { writeResults } from './swap-ab/results.ts';
import { resetRows, rowState } from './swap-ab/row-state.ts';

/** What the code of the kernel depends on. */
export interface FewRowsDenseDecodeConfig {
  readonly element: Element;
  readonly outElement: Element;
  /** A multiple of 64. */
  readonly pageSize: number;
  /** Default DeepSeek's. */
  readonly headDims?: HeadDims;
}

/**
 * Dense decoding of few query rows over a paged cache on warp groups. Grid: (1, KV heads, parts of the
 * schedule). Tokens are the rows of the multiplications, so that few query rows cost little: scores are
 * keys × queriesᵀ, outputs are Vᵀ × weightsᵀ. One warp group fetches, two compute.
 */
export function buildFewRowsDenseDecode(
  config: FewRowsDenseDecodeConfig,
): Kernel<DecodeParams<Element>> {
  const { element, outElement, pageSize, headDims } = config;
  const geometry = headDims ? decodeGeometry(headDims) : mlaGeometry;
  const parts = keyPartsOf(geometry);
  const { keyTiles, ownValueTiles } = geometry;
  const options = {
    name: 'sm90_few_rows_dense_decode',
    params: decodeParams(element, outElement, {}),
    shared: fewRowsLayout(element, geometry),
    block: [ctaThreads],
    minBlocksPerSm: 1,
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = warpGroup(k);
    const work = workOf(k, p, pageSize);
    initBarriers(k, shared, parts);
    k.waitForDependencies();

    takeDecodeRoles(k, group, {
      producerRegisters,
      consumerRegisters,
      fetchKeys() {
        k.if(k.electSync(), () => k.prefetchTensorMap(p.keys));
        const ring = twoStages(k, 1);
        work.forEachPiece((piece) => fetchKeys(k, shared, parts, ring, work.keysOf(piece)));
      },
      fetchQueries() {
        fetchAllQueries(k, shared, work, (source, phase, meanwhile) =>
          fetchQuery(k, shared, { rows: fewRows, keyTiles }, source, phase, meanwhile),
        );
      },
      consume() {
        const place = consumerPlace(k, group);
        const state = rowState(k, fewRows, ownValueTiles);
        const reduction = groupOfConsumer(k, shared, place);
        const consumer = new FewRowsConsumer(k, shared, element, parts, reduction, place, state);
        const phase = k.var('u32', 0).named('query_parity');
        const attend = (piece: Piece) => {
          const blocks = work.blocksOf(piece, p.scale);
          resetRows(state);
          const target = consumer.attend(blocks, phase, () => awaitTarget(k, shared, phase));
          releaseCombine(k, hasNext(shared, phase).not());
          const columns = pairColumns(k, place, parts, state);
          writeResults(k, p, {
            group: reduction,
            place,
            state,
            columns,
            piece,
            target,
            work,
            outElement,
          });
          phase.set(phase.xor(1));
        };
        work.forEachPiece(attend, () => hasNext(shared, phase.xor(1)));
      },
    });
  });
}
