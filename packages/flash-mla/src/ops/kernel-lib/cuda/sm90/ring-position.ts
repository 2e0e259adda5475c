import type { Ops, Value } from '@flash-mla/ptx';

/** Key blocks of a ring. */
export const ringStages = 2;

/** Position in a ring of key blocks; runs on from request to request. */
export interface RingPosition {
  readonly stage: Value<'u32'>;
  /** Of the round at hand. */
  readonly parity: Value<'u32'>;
  /** Goes on by a block. */
  advance(): void;
}

/** A position in a ring of {@link ringStages}. The producer begins with parity 1, for stages that are empty; consumers with 0. */
export function ringPosition(k: Ops, firstParity: 0 | 1): RingPosition {
  const stage = k.var('u32', 0).named('stage');
  const parity = k.var('u32', firstParity).named('parity');
  return {
    stage,
    parity,
    advance() {
      parity.set(parity.xor(stage));
      stage.set(stage.xor(1));
    },
  };
}
