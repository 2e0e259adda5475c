import type { Code } from '../assembler/code.ts';
import { KernelError } from '../errors.ts';
import type { Instructions } from '../instructions/table.ts';
import type { Label } from '../operands/label.ts';
import type { Memory } from '../operands/memory.ts';
import { Gpr64 } from '../registers/gpr.ts';
import { Condition, type Relation } from './condition.ts';
import type { RegisterPool } from './pool.ts';
import type { registerOps } from './register_ops.ts';

/** Options of a loop. */
export interface LoopOptions {
  /** Label in the listing. */
  readonly name?: string;
  /** Promises that there is a first round, which saves a test. */
  readonly atLeastOnce?: boolean;
  /** Bytes that the loop's first instruction is aligned to: 32, a line of the decoded cache. */
  readonly align?: number;
}

/** The rounds of a counted loop: from `from` up to below `to`. */
export interface Range extends LoopOptions {
  /** 0 unless given. */
  readonly from?: number | Gpr64;
  /** The first value that has no round; compared as 64 bits with a sign. */
  readonly to: number | Gpr64 | Memory<'gpr64'>;
  /** A positive constant; 1 unless given. */
  readonly step?: number;
}

/** Loops, conditions and what structures the listing. */
export function controlOps(
  code: Code,
  pool: RegisterPool,
  a: Instructions,
  registers: ReturnType<typeof registerOps>,
) {
  const repeat = (name: string, align: number, round: () => void): Label => {
    const again = code.label(name);
    code.align(align);
    code.place(again);
    pool.scope(round);
    return again;
  };
  const usable = (condition: Condition): Condition => {
    if (condition.position === code.items.length) return condition;
    throw new KernelError({
      subject: `condition "${condition.relation}"`,
      expected: 'the flags of the instruction just before',
      actual: 'other instructions in between, which may have changed them',
      remedy: 'Compare where the condition is used: `k.if(k.compare(a, "lt", b), …)`.',
    });
  };
  const compare = (
    x: Gpr64 | Memory<'gpr64'>,
    relation: Relation,
    y: Gpr64 | number | Memory<'gpr64'>,
  ): Condition => {
    if (x instanceof Gpr64) {
      if (typeof y === 'number') a.cmp(x, y);
      else a.cmp(x, y);
    } else if (y instanceof Gpr64) a.cmp(x, y);
    else if (typeof y === 'number') a.cmp(x.bytes === undefined ? x.qword : x, y);
    else {
      throw new KernelError({
        subject: `comparison of ${x} with ${y}`,
        expected: 'at least one register or constant',
        actual: 'two memory operands',
        remedy: 'Load one of them.',
      });
    }
    return new Condition(relation, code.items.length);
  };

  return {
    /** A label to be placed once. */
    label: (name?: string): Label => code.label(name),
    /** Gives a label the address of what comes next. */
    place: (label: Label): void => code.place(label),
    align: (bytes: number): void => code.align(bytes),
    /** A line in the listing. */
    comment: (text: string): void => code.comment(text),
    /** A heading in the listing for what `fill` appends; registers taken inside are freed. */
    section<R>(name: string, fill: () => R): R {
      code.comment(`— ${name} —`);
      return pool.scope(fill);
    },

    /** Compares two integers of 64 bits: the condition for the very next `if`. */
    compare,
    /** The flags as the last instruction left them, read as a relation. */
    flags: (relation: Relation): Condition => new Condition(relation, code.items.length),

    /** Runs `then` if the condition holds, `otherwise` if not. */
    if(condition: Condition, then: () => void, otherwise?: () => void): void {
      const end = code.label('end');
      const no = otherwise === undefined ? end : code.label('else');
      a[usable(condition).jump(false)](no);
      pool.scope(then);
      if (otherwise !== undefined) {
        a.jmp(end);
        code.place(no);
        pool.scope(otherwise);
      }
      code.place(end);
    },

    /**
     * So many rounds. A register as count is counted down to 0; a number has a register of its own.
     * The body may not change the count.
     */
    loop(
      count: Gpr64 | number,
      round: () => void,
      { name = 'loop', atLeastOnce = false, align = 32 }: LoopOptions = {},
    ): void {
      if (typeof count === 'number' && !(Number.isSafeInteger(count) && count >= 0)) {
        throw new KernelError({
          subject: `loop ${name}`,
          expected: 'a number of rounds of 0 or more',
          actual: String(count),
          remedy: 'Give an integer or a register.',
        });
      }
      if (count === 0) return;
      pool.scope(() => {
        const end = code.label(`${name}_end`);
        const left = typeof count === 'number' ? registers.gpr(`${name} count`, count) : count;
        if (typeof count !== 'number' && !atLeastOnce) {
          a.test(left, left);
          a.je(end);
        }
        const again = repeat(name, align, round);
        a.dec(left);
        a.jne(again);
        code.place(end);
      });
    },

    /** A counted loop. The index is the round's number and may not be changed by the body. */
    for(range: Range, round: (index: Gpr64) => void): void {
      const { from = 0, to, step = 1, name = 'for', align = 32 } = range;
      if (!(Number.isInteger(step) && step >= 1 && step <= 0x7fffffff)) {
        throw new KernelError({
          subject: `loop ${name}`,
          expected: 'a step that is a positive integer of 31 bits',
          actual: String(step),
          remedy: 'Count upwards; compute other sequences from the index.',
        });
      }
      const known = typeof from === 'number' && typeof to === 'number';
      if (known && from >= to) return;
      pool.scope(() => {
        const end = code.label(`${name}_end`);
        const index = registers.gpr(name, from);
        if (!known && !range.atLeastOnce) a[compare(index, 'ge', to).jump(true)](end);
        const again = repeat(name, align, () => round(index));
        a.add(index, step);
        a[compare(index, 'lt', to).jump(true)](again);
        code.place(end);
      });
    },
  };
}
