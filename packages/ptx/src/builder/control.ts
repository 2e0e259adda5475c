import type { Int32, RegType } from '../ir/types.ts';
import type { Body } from './body.ts';
import type { Constant, Operand } from './operand.ts';
import { Value, type Var } from './value.ts';

/** Handle of a loop inside its body. */
export interface Loop {
  /** Leaves the loop. */
  break(): void;
  /** Leaves the loop in the lanes where the condition holds. */
  breakIf(condition: Value<'pred'>): void;
  /** Goes on with the next round. */
  continue(): void;
  /** Goes on with the next round in the lanes where the condition holds. */
  continueIf(condition: Value<'pred'>): void;
}

/** A counted loop: from (inclusive) to (exclusive) by a step. */
export interface Range<T extends Int32> {
  /** 0 unless given. */
  readonly from?: Operand<T>;
  readonly to: Value<T> | Constant<T>;
  /** 1 unless given. A negative constant counts down while the index is above `to`. */
  readonly step?: Operand<T>;
  /** Name of the counter and the loop's label in the emitted text. */
  readonly name?: string;
  /** Promises that all lanes of a warp run the same rounds; the simulator checks it. */
  readonly uniform?: boolean;
  /** False keeps the assembler from unrolling the loop. */
  readonly unroll?: boolean;
}

/** Options of a branch or loop. */
export interface ControlOptions {
  /** Promises that all lanes of a warp decide alike; the simulator checks it. */
  readonly uniform?: boolean;
  /** Label in the emitted text. */
  readonly name?: string;
  /** Of a loop: false keeps the assembler from unrolling it. */
  readonly unroll?: boolean;
}

/** Variables and structured control flow. */
export const controlOps = (body: Body) => {
  const handle = (id: number, uniform: boolean): Loop => ({
    break: () => body.jump('break', id),
    breakIf: (condition) => body.jump('break', id, condition, false, uniform),
    continue: () => body.jump('continue', id),
    continueIf: (condition) => body.jump('continue', id, condition, false, uniform),
  });
  return {
    /**
     * A register that may be written again. Without a first value the simulator reports a read
     * before the first write.
     */
    var<T extends RegType>(
      type: T,
      first?: Operand<T> | (T extends 'pred' ? boolean : never),
    ): Var<T> {
      return body.variable(type, first);
    },

    /** `count` variables that start from the same value: accumulators. */
    vars<T extends RegType>(type: T, count: number, first?: Operand<T>): Var<T>[] {
      return Array.from({ length: count }, () => body.variable(type, first));
    },

    /** Runs `then` in the lanes where the condition holds and `otherwise` in the others. */
    if(
      condition: Value<'pred'>,
      then: () => void,
      otherwise?: (() => void) | ControlOptions,
      options: ControlOptions = {},
    ): void {
      const withElse = typeof otherwise === 'function';
      const { uniform = false } = (withElse ? options : otherwise) ?? {};
      body.branch(condition, then, withElse ? otherwise : undefined, uniform);
    },

    /** Runs `then` as the part of the warps for which the condition holds in all lanes. */
    role(name: string, condition: Value<'pred'>, then: () => void): void {
      body.branch(
        condition,
        () => {
          body.comment(`role: ${name}`);
          then();
        },
        undefined,
        true,
      );
    },

    /** A counted loop. The index holds the round's number for as long as the round lasts. */
    for<T extends Int32 = 'u32'>(
      range: Range<T>,
      round: (index: Value<T>, loop: Loop) => void,
    ): void {
      const { from = 0 as Operand<T>, to, step = 1 as Operand<T>, name = 'for' } = range;
      const { uniform = false, unroll } = range;
      const typed = [from, to, step].find((x): x is Value<T> => x instanceof Value);
      const type = (typed?.type ?? 'u32') as T;
      const counter = body.variable<Int32>(type, from as Operand<Int32>).named(name);
      const down = typeof step === 'number' && step < 0;
      body.loop(
        name,
        (id) => {
          const done = down ? counter.le(to as Operand<Int32>) : counter.ge(to as Operand<Int32>);
          body.jump('break', id, done, false, uniform);
          round(counter as Value<Int32> as Value<T>, handle(id, uniform));
        },
        () => counter.set(counter.add(step as Operand<Int32>)),
        unroll,
      );
    },

    /** Repeats the round while the condition holds; the condition is computed before each round. */
    while(
      condition: () => Value<'pred'>,
      round: (loop: Loop) => void,
      { uniform = false, name = 'while', unroll }: ControlOptions = {},
    ): void {
      const whole = (id: number) => {
        body.jump('break', id, condition(), true, uniform);
        round(handle(id, uniform));
      };
      body.loop(name, whole, undefined, unroll);
    },

    /** Repeats the round until it breaks. */
    loop(
      round: (loop: Loop) => void,
      { uniform = false, name = 'loop', unroll }: ControlOptions = {},
    ): void {
      body.loop(name, (id) => round(handle(id, uniform)), undefined, unroll);
    },

    /** Groups instructions under a heading in the emitted text. */
    section<R>(name: string, fill: () => R): R {
      body.comment(name);
      return fill();
    },

    /** A comment in the emitted text. */
    comment: (text: string): void => body.comment(text),

    /** Ends the thread. */
    exit: (): void => body.exit(),

    /** Throws a build error that points at the kernel's line. */
    fail: (problem: string): never => body.fail(problem),
  };
};
