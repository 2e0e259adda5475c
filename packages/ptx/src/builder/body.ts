import type { Requirement, Target } from '../emit/target.ts';
import { baseVersion } from '../emit/target.ts';
import { KernelBuildError, UnsupportedInstructionError } from '../errors.ts';
import { mov, movPred } from '../instructions/move.ts';
import type { BoundInstruction } from '../ir/instruction.ts';
import { callerLocation, type Location, unknownLocation } from '../ir/location.ts';
import type { Arg, Block, ConstArray, Dest, Node, Reg } from '../ir/program.ts';
import type { RegType } from '../ir/types.ts';
import { arg, bitType, type Operand } from './operand.ts';
import { Value, Var } from './value.ts';

/** A loop under construction. */
interface OpenLoop {
  readonly id: number;
  readonly depth: number;
}

/**
 * A kernel under construction: appends instructions to the current block, keeps track of which
 * values may be used where, and raises the program's requirements as instructions are used.
 */
export class Body {
  readonly kernel: string;
  readonly target: Target;
  readonly regs: Reg[] = [];
  readonly constants: ConstArray[] = [];
  readonly main: Block = { nodes: [] };
  /** Runs before `main`: addresses and special registers that are read once. */
  readonly prologue: Block = { nodes: [] };
  /** Mnemonics of the instructions in use. */
  readonly used = new Set<string>();
  #open: Block[] = [this.prologue, this.main];
  #once = new Map<string, Value<RegType>>();
  #loops: OpenLoop[] = [];
  #labels = 0;
  #requires: Requirement;
  #fixed: Location | undefined;
  readonly #locations: boolean;

  /** `locations`: note the TypeScript line of every instruction, which takes most of the time. */
  constructor(kernel: string, target: Target, locations: boolean) {
    this.kernel = kernel;
    this.target = target;
    this.#locations = locations;
    this.#requires = { sm: 80, ptx: Math.max(70, baseVersion(target)) };
  }

  get requires(): Requirement {
    return this.#requires;
  }

  /** An error that points at the kernel's line. */
  error(problem: string): KernelBuildError {
    return new KernelBuildError(this.kernel, callerLocation(), problem);
  }

  /** Throws a {@link KernelBuildError} that points at the kernel's line. */
  fail(problem: string): never {
    throw this.error(problem);
  }

  /** Runs `fill` with all its instructions ascribed to one line. */
  located<R>(location: Location, fill: () => R): R {
    this.#fixed = location;
    const result = fill();
    this.#fixed = undefined;
    return result;
  }

  /** Appends an instruction with one new result. `as` is the type the instruction writes. */
  one<T extends RegType>(
    op: BoundInstruction,
    type: T,
    src: readonly Arg[],
    as?: readonly RegType[],
  ): Value<T> {
    return this.many(op, [type], src, as)[0];
  }

  /** Appends an instruction with any number of new results. */
  many<T extends RegType>(
    op: BoundInstruction,
    types: readonly T[],
    src: readonly Arg[],
    as: readonly RegType[] = types,
  ): Value<T>[] {
    const regs = types.map((type) => this.#register(type, false, false));
    this.#append(
      op,
      regs.map((reg, i) => ({ reg, type: as[i] })),
      src,
    );
    return regs.map((reg, i) => new Value(this, types[i], reg, this.#block));
  }

  /** Appends an instruction without results. */
  run(op: BoundInstruction, src: readonly Arg[]): void {
    this.#append(op, [], src);
  }

  /** Appends an instruction that writes variables. */
  into(
    op: BoundInstruction,
    dst: readonly Var<RegType>[],
    src: readonly Arg[],
    as: readonly RegType[] = dst.map((d) => d.type),
  ): void {
    for (const { reg, scope } of dst) this.#checkScope(reg, scope);
    this.#append(
      op,
      dst.map(({ reg }, i) => ({ reg, type: as[i] })),
      src,
    );
  }

  /** A new variable; without a first value, reading it before writing it is an error. */
  variable<T extends RegType>(type: T, first?: Operand<T> | boolean): Var<T> {
    const reg = this.#register(type, true, first === undefined);
    const created = new Var<T>(this, type, reg, this.#block);
    const bits = bitType(type);
    if (typeof first === 'boolean') {
      this.#append(movPred({ value: first }), [{ reg, type: bits }], []);
    } else if (first !== undefined) {
      const source = typeof first === 'object' ? { reg: first.reg, type: bits } : arg(type, first);
      this.#append(mov({ bits }), [{ reg, type: bits }], [source]);
    }
    return created;
  }

  /** The value that `make` gives in the prologue, made at the first call with this key. */
  once<T extends RegType>(key: string, make: () => Value<T>): Value<T> {
    const known = this.#once.get(key);
    if (known !== undefined) return known as Value<T>;
    const open = this.#open;
    this.#open = [this.prologue];
    const value = make();
    this.#open = open;
    this.#once.set(key, value);
    return value;
  }

  /** Runs `then` or `otherwise`, per lane. `uniform` promises that a warp's lanes agree. */
  branch(
    cond: Value<'pred'>,
    then: () => void,
    otherwise?: (() => void) | undefined,
    uniform = false,
  ): void {
    this.#checkScope(cond.reg, cond.scope);
    const location = this.#here();
    const yes = this.#nested(then);
    const no = otherwise === undefined ? { nodes: [] } : this.#nested(otherwise);
    this.#push({ kind: 'if', cond: cond.reg, uniform, yes, no, location });
  }

  /** Repeats `body`, then `step`, until all lanes have left. */
  loop(label: string, body: (id: number) => void, step?: () => void, unroll = true): void {
    const location = this.#here();
    const id = this.#labels++;
    this.#loops.push({ id, depth: this.#open.length });
    const block: Block = { nodes: [] };
    this.#open.push(block);
    body(id);
    // The step may use what the body computed, but `continue` may have skipped that: the step is a
    // block of its own that sees only what surrounds the loop.
    this.#open.pop();
    const next = step === undefined ? { nodes: [] } : this.#nested(step);
    this.#loops.pop();
    this.#push({ kind: 'loop', id, label, unroll, body: block, step: next, location });
  }

  /** Leaves (`break`) or restarts (`continue`) loop `id` in the lanes where `cond` is not `negate`. */
  jump(
    kind: 'break' | 'continue',
    id: number,
    cond?: Value<'pred'> | undefined,
    negate = false,
    uniform = false,
  ): void {
    if (!this.#loops.some((loop) => loop.id === id)) this.fail(`${kind} outside of its loop`);
    if (cond !== undefined) this.#checkScope(cond.reg, cond.scope);
    const location = this.#here();
    this.#push({ kind, loop: id, cond: cond?.reg, negate, uniform, location });
  }

  exit(): void {
    this.#push({ kind: 'exit', location: this.#here() });
  }

  comment(text: string): void {
    this.#push({ kind: 'comment', text: text.replace(/[\r\n]+/g, ' ') });
  }

  /** Says whether a value may be used at this point. */
  visible(value: Value<RegType>): boolean {
    return value.body === this && this.#open.includes(value.scope);
  }

  #here(): Location {
    return this.#fixed ?? (this.#locations ? callerLocation() : unknownLocation);
  }

  get #block(): Block {
    return this.#open[this.#open.length - 1];
  }

  #nested(fill: () => void): Block {
    const block: Block = { nodes: [] };
    this.#open.push(block);
    fill();
    this.#open.pop();
    return block;
  }

  #push(node: Node): void {
    this.#block.nodes.push(node);
  }

  #register(type: RegType, mutable: boolean, maybeUnset: boolean): Reg {
    const reg = { id: this.regs.length, type, name: undefined, mutable, maybeUnset };
    this.regs.push(reg);
    this.#scopes.push(this.#block);
    return reg;
  }

  readonly #scopes: Block[] = [];

  #checkScope(reg: Reg, scope = this.#scopes[reg.id]): void {
    if (this.regs[reg.id] !== reg) this.fail('a value of another kernel is used');
    if (!this.#open.includes(scope)) {
      this.fail(
        `a ${reg.type} value${reg.name === undefined ? '' : ` "${reg.name}"`} computed inside an inner block is used outside of it; declare a k.var before the block and set it inside`,
      );
    }
  }

  #append(op: BoundInstruction, dst: readonly Dest[], src: readonly Arg[]): void {
    if (op.problem !== undefined) throw this.error(`${op.name}: ${op.problem}`);
    for (const input of src) if ('reg' in input) this.#checkScope(input.reg);
    const needs = op.requires;
    if (needs !== undefined) {
      const { target } = this;
      if (target.sm < needs.sm || (needs.variant === 'a' && !target.specific)) {
        throw new UnsupportedInstructionError(
          this.kernel,
          callerLocation(),
          `${op.name} needs sm_${needs.sm}${needs.variant ?? ''}; the target is ${target.name}. Choose another path where k.target says so.`,
        );
      }
      if (needs.ptx > this.#requires.ptx) this.#requires = { ...this.#requires, ptx: needs.ptx };
    }
    this.used.add(op.name);
    this.#push({ kind: 'instr', op, dst, src, location: this.#here() });
  }
}
