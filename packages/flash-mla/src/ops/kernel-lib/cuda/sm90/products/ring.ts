import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import { consumersOf, type ProductElement, type ProductTile } from './tile.ts';

const warpsOfGroup = 4;

type AnyTile = ProductTile<ProductElement>;

/** The barriers of a ring of stages. */
export interface RingShared {
  readonly full: { at(stage: number | Value<'u32'>): Pointer<'shared', 'b64'> };
  readonly empty: { at(stage: number | Value<'u32'>): Pointer<'shared', 'b64'> };
}

/** Initialises the barriers; ends with a barrier of the CTA or cluster, behind which all see them. */
export function initRing(k: Ops, shared: RingShared, tile: AnyTile): void {
  k.if(k.threadIdx.x.eq(0), () => {
    for (let stage = 0; stage < tile.stages; stage++) {
      k.mbarrierInit(shared.full.at(stage), 1);
      // Each warp that multiplies, of every CTA that gets the same copies, says when it is done.
      k.mbarrierInit(shared.empty.at(stage), consumersOf(tile) * warpsOfGroup * tile.cluster);
    }
    k.fenceMbarrierInit();
  });
  k.syncWarp();
  if (tile.cluster > 1) k.clusterBarrier();
  else k.barrier();
}

/** A position in the ring. */
export interface RingPlace {
  readonly stage: Value<'u32'>;
  readonly parity: Value<'u32'>;
  advance(): void;
}

/** The producer begins with parity 1, for stages that are empty; consumers with 0. */
export function ringPlace(k: Ops, stages: number, firstParity: 0 | 1): RingPlace {
  const stage = k.var('u32', 0).named('stage');
  const parity = k.var('u32', firstParity).named('parity');
  return {
    stage,
    parity,
    advance() {
      const isLast = stage.eq(stages - 1);
      parity.set(k.select(isLast, parity.xor(1), parity, 'u32'));
      stage.set(k.select(isLast, 0, stage.add(1), 'u32'));
    },
  };
}

/** A warp's last use of a stage: tells every CTA whose copies reach this one. */
export function release(k: Ops, shared: RingShared, stage: Value<'u32'>, cluster: number): void {
  const bar = shared.empty.at(stage);
  if (cluster === 1) k.if(k.laneId.eq(0), () => k.mbarrierArrive(bar));
  else k.if(k.laneId.lt(cluster), () => k.mbarrierReleaseRemote(bar, k.laneId));
}
