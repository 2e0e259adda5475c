import type { Ops, Value } from '@flash-mla/ptx';

/** A position in a ring of key blocks or parts of them; runs on from request to request. */
export interface RingPosition {
  readonly stage: Value<'u32'>;
  /** Of the round at hand. */
  readonly parity: Value<'u32'>;
  /** Goes on by a block. */
  advance(): void;
  /** The position one block further, if `isNext`. */
  next(isNext: Value<'pred'> | true): Pick<RingPosition, 'stage' | 'parity'>;
}

/** The producer begins with parity 1, for stages that are empty; consumers with 0. */
export function ringPosition(k: Ops, stages: number, firstParity: 0 | 1): RingPosition {
  const stage = k.var('u32', 0).named('stage');
  const parity = k.var('u32', firstParity).named('parity');
  const next = (step: Value<'u32'> | 1) => {
    const reached = stage.add(step);
    const wraps = reached.eq(stages);
    return {
      stage: k.select(wraps, 0, reached, 'u32'),
      parity: k.select(wraps, parity.xor(1), parity),
    };
  };
  return {
    stage,
    parity,
    advance() {
      const reached = next(1);
      stage.set(reached.stage);
      parity.set(reached.parity);
    },
    next: (isNext) => next(isNext === true ? 1 : k.select(isNext, 1, 0, 'u32')),
  };
}
