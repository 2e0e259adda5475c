import { defineKernel, type Kernel } from '@flash-mla/ptx';
import type { Element } from '../../../kernel-lib/cuda/element.ts';
import { decodeGeometry, type HeadDims } from '../../../kernel-lib/cuda/sm90/geometry.ts';
import { twoStages } from '../../../kernel-lib/cuda/sm90/pipeline-state.ts';
import { consumerPlace } from '../../../kernel-lib/cuda/sm90/place.ts';
import { warpGroup } from '../../../kernel-lib/cuda/sm90/roles.ts';
import type { Piece } from '../pieces.ts';
import { Consumer } from './dense/consume.ts';
import { fetchKeys } from './dense/fetch-keys.ts';
import { fetchQuery } from './dense/fetch-query.ts';
import { type Blocks, maskBeyondEnd } from './dense/mask.ts';
import { heedMissing, readLengthLate } from './dense/missing-pages.ts';
import { type DecodeParams, decodeParams } from './dense/params.ts';
import { releaseCombine } from './dense/release-combine.ts';
import { writeResults } from './dense/results.ts';
import { initBarriers } from './dense/ring.ts';
import { fetchAllQueries, takeDecodeRoles } from './dense/roles.ts';
import { resetRows, rowState } from './dense/row-state.ts';
import { awaitTarget, hasNext } from './dense/target.ts';
import {
  consumerRegisters,
  ctaThreads,
  type HopperTile,
  hopperLayout,
  mlaGeometry,
  producerRegisters,
} from './dense/tile.ts';
import { workOf } from './dense/work.ts';

/** What the code of the kernel depends on. */
export interface HopperDenseDecodeConfig {
  readonly tile: Omit<HopperTile, 'geometry'>;
  /** Default DeepSeek's. */
  readonly headDims?: HeadDims;
  readonly outElement: Element;
  /** A multiple of 64. */
  readonly pageSize: number;
}

/**
 * Dense decoding over a paged cache on warp groups. Grid: (tiles of 64 rows, KV heads, parts of the
 * schedule); clusters of neighbouring row tiles share the keys that each loads. One warp group fetches,
 * two compute.
 */
export function buildHopperDenseDecode(
  config: HopperDenseDecodeConfig,
): Kernel<DecodeParams<Element>> {
  const { outElement, pageSize, headDims } = config;
  const geometry = headDims ? decodeGeometry(headDims) : mlaGeometry;
  const tile: HopperTile = { ...config.tile, geometry };
  const { tileRows, headDimV, keyTiles } = geometry;
  const options = {
    name: 'sm90_dense_decode',
    params: decodeParams(tile.element, outElement, {}),
    shared: hopperLayout(tile.element, geometry),
    block: [ctaThreads],
    minBlocksPerSm: 1,
    cluster: [tile.clusterSize],
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = warpGroup(k);
    const firstRow = k.blockIdx.x.mul(tileRows).named('first_row');
    const work = workOf(k, p, pageSize, firstRow);
    initBarriers(k, shared, tile);
    k.waitForDependencies();

    takeDecodeRoles(k, group, {
      producerRegisters,
      consumerRegisters,
      fetchKeys() {
        k.if(k.electSync(), () => k.prefetchTensorMap(p.keys));
        const ring = twoStages(k, 1);
        work.forEachPiece((piece) => fetchKeys(k, shared, tile, ring, work.keysOf(piece)));
      },
      fetchQueries() {
        fetchAllQueries(k, shared, work, (source, phase, meanwhile) =>
          fetchQuery(k, shared, { rows: tileRows, keyTiles }, source, phase, meanwhile),
        );
      },
      consume() {
        const place = consumerPlace(k, group);
        const state = rowState(k, headDimV / 2);
        const consumer = new Consumer<Blocks>(
          k,
          shared,
          { ...tile, registerTiles: 1 },
          place,
          state,
          (...hidden) => maskBeyondEnd(k, shared, geometry, place, ...hidden),
        );
        const phase = k.var('u32', 0).named('query_parity');
        const attend = (piece: Piece) => {
          const blocks = work.blocksOf(piece, p.scale);
          resetRows(state);
          consumer.loadQuery(phase);
          consumer.attend(readLengthLate(shared, heedMissing(k, shared, blocks)));
          const target = awaitTarget(k, shared, phase);
          consumer.releaseQuery();
          releaseCombine(k, hasNext(shared, phase).not());
          const results = { shared, place, state, piece, target, parity: phase, work, outElement };
          writeResults(k, p, results);
          phase.set(phase.xor(1));
        };
        work.forEachPiece(attend, () => hasNext(shared, phase.xor(1)));
      },
    });
    // No CTA may end while another may still copy into it or arrive at its barriers.
    if (tile.clusterSize > 1) k.clusterBarrier();
  });
}
