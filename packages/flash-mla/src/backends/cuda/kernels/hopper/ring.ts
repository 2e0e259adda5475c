import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import {
  consumers,
  type HopperShared,
  type HopperTile,
  keyParts,
  releasedParts,
  warpGroupThreads,
} from './tile.ts';

/** Warps of a consumer: each says by itself when it is done with a part. */
const warpsPerGroup = warpGroupThreads / 32;

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
  { full }: HopperShared,
  consumer: Value<'u32'>,
): Pointer<'shared', 'b64'> {
  return partBarrier(full, consumer, keyParts.length);
}

/** Initialises all barriers; ends with a barrier of the CTA or cluster. */
export function initBarriers(
  k: Ops,
  shared: HopperShared,
  { clusterSize }: HopperTile,
  queryArrivals: number,
): void {
  k.if(k.threadIdx.x.eq(0), () => {
    for (let i = 0; i < consumers * keyParts.length; i++) k.mbarrierInit(shared.full.at(i), 1);
    for (let i = 0; i < consumers * releasedParts; i++) {
      k.mbarrierInit(shared.empty.at(i), warpsPerGroup * clusterSize);
    }
    k.mbarrierInit(shared.queryFull.at(0), queryArrivals);
    k.mbarrierInit(shared.queryEmpty.at(0), consumers * warpsPerGroup);
    k.mbarrierInit(shared.targetFull.at(0), 1);
    const weights = consumers * keyParts.length;
    for (let i = 0; i < consumers; i++) {
      k.mbarrierInit(shared.full.at(weights + i), warpGroupThreads);
      k.mbarrierInit(shared.sumsFull.at(i), warpGroupThreads);
    }
    k.fenceMbarrierInit();
  });
  k.syncWarp();
  if (clusterSize > 1) k.clusterBarrier();
  else k.barrier();
}

/** A warp's last use of a part: tells every CTA whose copies reach this one. */
export function releasePart(
  k: Ops,
  { clusterSize }: HopperTile,
  bar: Pointer<'shared', 'b64'>,
): void {
  if (clusterSize === 1) k.if(k.laneId.eq(0), () => k.mbarrierArrive(bar));
  else k.if(k.laneId.lt(clusterSize), () => k.mbarrierReleaseRemote(bar, k.laneId));
}
