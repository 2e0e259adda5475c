import type { Problem } from '../problem.ts';
import type { ProblemKind } from '../problem-kind.ts';
import type { Random } from '../suite/random.ts';
import { choice, flag, integer, type Space, type ValuesOf } from './parameters.ts';

/** A drawn problem, ready to be run. */
export interface Drawn {
  /**
   * The problem, and what becomes of it as lengths on the device change. All steps live in the same
   * tensors and differ in lengths only. At least one.
   */
  readonly steps: readonly Problem[];
  /**
   * Size of values relative to those of the conformance suite, whose bounds are absolute where an
   * output is small. `out` is proportional to the values, and so are its errors.
   */
  readonly valueSize: number;
  /** The longest lengths, where the call states them. */
  readonly longest?: { readonly queries: number; readonly keys: number };
}

/** An operation whose problems are drawn: the parameters, and the problem that they mean. */
export interface PropertyOperation<S extends Space = Space> {
  readonly kind: ProblemKind;
  /** How often it is drawn, in relation to the others. */
  readonly share: number;
  readonly space: S;
  /**
   * The nearest values that go together and are not too expensive. Applied to every draw, so a name
   * says what was run.
   */
  normalize(values: ValuesOf<S>): ValuesOf<S>;
  /** Millions of floating-point operations of one call, tiles counted in full. */
  cost(values: ValuesOf<S>): number;
  /** The problem of these values. Draws from streams of `random`, so one value changes little else. */
  build(values: ValuesOf<S>, random: Random): Drawn;
}

/** How an operation is called. */
export const callSpace = {
  /**
   * `once`; `again`: several times, with the metadata of the first call until lengths change; `graph`:
   * captured while other lengths are on the device, then replayed; `mixed`: called, captured, replayed
   * and called again.
   */
  mode: choice('once', 'once', 'again', 'graph', 'mixed'),
  /** How often lengths change, but for `once`. */
  steps: integer(1, 3),
  /** `new`: the operation allocates its outputs. */
  outputs: choice('given', 'new'),
  /** Tensors have gaps, permuted dimensions and odd offsets; else they are contiguous. */
  placed: flag(0.6),
};

export type CallValues = ValuesOf<typeof callSpace>;

/** The steps that a call takes. */
export function stepCount({ mode, steps }: Pick<CallValues, 'mode' | 'steps'>): number {
  return mode === 'once' ? 1 : steps;
}

/** The largest value up to `most` from `value` on down for which `fits` holds; at least `least`. */
export function reduced(value: number, least: number, fits: (value: number) => boolean): number {
  let n = value;
  while (n > least && !fits(n)) n = Math.max(least, Math.floor(n * 0.75));
  return n;
}
