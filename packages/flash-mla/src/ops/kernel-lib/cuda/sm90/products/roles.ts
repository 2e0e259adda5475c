import type { Ops, Value } from '@flash-mla/ptx';
import { initRing, type RingShared } from './ring.ts';
import { consumersOf, groupThreads, type ProductElement, type ProductTile } from './tile.ts';

const registers = { producer: 40, consumer: 232 } as const;

/** Threads of a CTA: a warp group that fetches, and those that multiply. */
export const threadsOf = (tile: ProductTile<ProductElement>): number =>
  (1 + consumersOf(tile)) * groupThreads;

/** What the warp groups of a CTA do. */
export interface Roles {
  /** By one warp. */
  produce(): void;
  /** By each group that multiplies; `group` is its number. */
  consume(group: Value<'u32'>): void;
}

/** Makes the ring ready and gives each warp its role. */
export function takeRoles(
  k: Ops,
  shared: RingShared,
  tile: ProductTile<ProductElement>,
  { produce, consume }: Roles,
): void {
  const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
  const isSplit = consumersOf(tile) > 1;
  initRing(k, shared, tile);
  k.if(
    group.eq(0),
    () => {
      if (isSplit) k.setMaxRegisters(registers.producer, 'decrease');
      k.role('producer', k.threadIdx.x.lt(32), produce);
    },
    () => {
      if (isSplit) k.setMaxRegisters(registers.consumer, 'increase');
      consume(group.sub(1));
    },
    { uniform: true },
  );
  // No CTA may end while another may still copy into it or arrive at its barriers.
  if (tile.cluster > 1) k.clusterBarrier();
}
