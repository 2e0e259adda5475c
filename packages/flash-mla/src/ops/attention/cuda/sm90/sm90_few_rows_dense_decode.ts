import { defineKernel, type Kernel } from '@flash-mla/ptx';
import { fetchQuery } from './hopper/fetch-query.ts';
import { type DecodeParams, decodeParams } from './hopper/params.ts';
import { consumerPlace } from './hopper/place.ts';
import { releaseCombine } from './hopper/release-combine.ts';
import { ringPosition } from './hopper/ring-position.ts';
import { fetchAllQueries, takeRoles } from './hopper/roles.ts';
import { awaitTarget, hasNext } from './hopper/target.ts';
import { consumerRegisters, ctaThreads, producerRegisters } from './hopper/tile.ts';
import { workOf } from './hopper/work.ts';
import { initBarriers } from './hopper-few/barriers.ts';
import { FewRowsConsumer } from './hopper-few/consume.ts';
import { fetchKeys } from './hopper-few/fetch-keys.ts';
import { pairColumns } from './hopper-few/neighbours.ts';
import { ownConsumer } from './hopper-few/team.ts';
import { fewRows, fewRowsLayout } from './hopper-few/tile.ts';
import { writeResults } from './hopper-swapped/results.ts';
import { resetRows, rowState } from './hopper-swapped/row-state.ts';
import type { Piece } from './mla/pieces.ts';
import type { Element } from './mla/tile.ts';

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
): Kernel<DecodeParams<Element>> {
  const { element, outElement, pageSize } = config;
  const options = {
    name: 'sm90_few_rows_dense_decode',
    params: decodeParams(element, outElement, {}),
    shared: fewRowsLayout(element),
    block: [ctaThreads],
    minBlocksPerSm: 1,
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
    const work = workOf(k, p, pageSize);
    initBarriers(k, shared);
    k.waitForDependencies();

    takeRoles(k, group, {
      producerRegisters,
      consumerRegisters,
      fetchKeys() {
        k.if(k.electSync(), () => k.prefetchTensorMap(p.keys));
        const ring = ringPosition(k, 1);
        work.forEachPiece((piece) => fetchKeys(k, shared, ring, work.keysOf(piece)));
      },
      fetchQueries() {
        fetchAllQueries(k, shared, work, (source, parity, meanwhile) =>
          fetchQuery(k, shared, fewRows, source, parity, meanwhile),
        );
      },
      consume() {
        const place = consumerPlace(k, group);
        const state = rowState(k, fewRows);
        const team = ownConsumer(k, shared, place);
        const consumer = new FewRowsConsumer(k, shared, element, team, place, state);
        const parity = k.var('u32', 0).named('query_parity');
        const attend = (piece: Piece) => {
          const blocks = work.blocksOf(piece, p.scale);
          resetRows(state);
          const target = consumer.attend(blocks, parity, () => awaitTarget(k, shared, parity));
          releaseCombine(k, hasNext(shared, parity).not());
          const columns = pairColumns(k, place, state);
          writeResults(k, p, { team, place, state, columns, piece, target, work, outElement });
          parity.set(parity.xor(1));
        };
        work.forEachPiece(attend, () => hasNext(shared, parity.xor(1)));
      },
    });
  });
}
