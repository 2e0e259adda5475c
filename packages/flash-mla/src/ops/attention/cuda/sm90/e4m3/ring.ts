import type { Ops, Value } from '@flash-mla/ptx';
import type { RingPosition } from '../../../../kernel-lib/cuda/sm90/ring-position.ts';

/** A position from which the next one can be seen. */
export interface LookingPosition extends RingPosition {
  /** The position one block further, if `isNext`. */
  next(isNext: Value<'pred'> | true): Pick<RingPosition, 'stage' | 'parity'>;
}

/** A position in a ring of any number of stages. */
export function ringPosition(k: Ops, stages: number, firstParity: 0 | 1): LookingPosition {
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
