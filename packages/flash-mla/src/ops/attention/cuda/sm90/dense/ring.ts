import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import { initBarriersOnce } from '../../../../kernel-lib/cuda/sm90/barriers.ts';
import type { DecodeGeometry } from '../../../../kernel-lib/cuda/sm90/geometry.ts';
import { initPieceBarriers } from './init-barriers.ts';
import {
  consumers,
  groupWarps,
  type HopperShared,
  type HopperTile,
  warpGroupThreads,
} from './tile.ts';

/** The barriers of a part of a key block, in stage 0 or 1. */
export function partBarrier(
  bars: HopperShared['full'],
  stage: Value<'u32'>,
  part: number,
): Pointer<'shared', 'b64'> {
  return bars.at(stage).at(part * consumers);
}

/** The barrier of a consumer's weights, beside those of its keys. */
export function weightsBarrier(
  { full }: Pick<HopperShared, 'full'>,
  { chunks }: DecodeGeometry,
  consumer: Value<'u32'>,
): Pointer<'shared', 'b64'> {
  return partBarrier(full, consumer, chunks.length);
}

/** Initialises all barriers; ends with a barrier of the CTA or cluster. */
export function initBarriers(
  k: Ops,
  shared: HopperShared,
  { clusterSize, geometry }: HopperTile,
): void {
  const { chunks, releasedParts } = geometry;
  const init = () => {
    for (let i = 0; i < consumers * chunks.length; i++) k.mbarrierInit(shared.full.at(i), 1);
    for (let i = 0; i < consumers * releasedParts; i++) {
      // Each warp says by itself when it is done with a part.
      k.mbarrierInit(shared.empty.at(i), groupWarps * clusterSize);
    }
    initPieceBarriers(k, shared);
    const weights = consumers * chunks.length;
    for (let i = 0; i < consumers; i++) {
      k.mbarrierInit(shared.full.at(weights + i), warpGroupThreads);
      k.mbarrierInit(shared.sumsFull.at(i), warpGroupThreads);
    }
  };
  initBarriersOnce(k, init, clusterSize);
}
