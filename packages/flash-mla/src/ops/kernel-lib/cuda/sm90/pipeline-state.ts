import type { Ops, Value } from '@flash-mla/ptx';

/**
 * Where a role stands in a ring of buffers that barriers guard. It runs on from request to request. Who
 * fills buffers begins with phase 1, since all are empty; who reads them begins with 0.
 */
export interface PipelineState {
  readonly stage: Value<'u32'>;
  /** Of the barriers in the round at hand. */
  readonly phase: Value<'u32'>;
  /** Goes on by a stage. */
  advance(): void;
}

/** A state from which the next one can be seen. */
export interface LookaheadState extends PipelineState {
  /** The state one stage further, if `isNext`. */
  next(isNext: Value<'pred'> | true): Pick<PipelineState, 'stage' | 'phase'>;
}

/** The state of a ring of two stages. */
export function twoStages(k: Ops, firstPhase: 0 | 1): PipelineState {
  const stage = k.var('u32', 0).named('stage');
  const phase = k.var('u32', firstPhase).named('parity');
  return {
    stage,
    phase,
    advance() {
      phase.set(phase.xor(stage));
      stage.set(stage.xor(1));
    },
  };
}

/** The state of a ring of any number of stages. */
export function manyStages(k: Ops, stages: number, firstPhase: 0 | 1): LookaheadState {
  const stage = k.var('u32', 0).named('stage');
  const phase = k.var('u32', firstPhase).named('parity');
  const next = (step: Value<'u32'> | 1) => {
    const reached = stage.add(step);
    const wraps = reached.eq(stages);
    return {
      stage: k.select(wraps, 0, reached, 'u32'),
      phase: k.select(wraps, phase.xor(1), phase),
    };
  };
  return {
    stage,
    phase,
    advance() {
      const reached = next(1);
      stage.set(reached.stage);
      phase.set(reached.phase);
    },
    next: (isNext) => next(isNext === true ? 1 : k.select(isNext, 1, 0, 'u32')),
  };
}
