import type { Ops, Value } from '@flash-mla/ptx';

export const warpThreads = 32;
export const warpGroupThreads = 128;
/** Warps of a warp group. */
export const groupWarps = warpGroupThreads / warpThreads;

/** What the warp groups of a CTA do, and with how many registers a thread. */
export interface WarpGroupRoles {
  readonly producerRegisters: number;
  readonly consumerRegisters: number;
  /** By the first warp group. */
  produce(): void;
  /** By the others. */
  consume(): void;
}

/** The number of the thread's warp group, the same in all lanes. */
export function warpGroup(k: Ops): Value<'u32'> {
  return k.shuffle(k.threadIdx.x.shr(Math.log2(warpGroupThreads)), 0).named('group');
}

/** Gives each warp group its role, and the consumers the registers that the producer does not need. */
export function takeRoles(k: Ops, group: Value<'u32'>, roles: WarpGroupRoles): void {
  k.if(
    group.eq(0),
    () => {
      k.setMaxRegisters(roles.producerRegisters, 'decrease');
      roles.produce();
    },
    () => {
      k.setMaxRegisters(roles.consumerRegisters, 'increase');
      roles.consume();
    },
    { uniform: true },
  );
}
