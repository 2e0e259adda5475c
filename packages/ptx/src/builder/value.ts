import { and, not, or, shl, shr, xor } from '../instructions/bits.ts';
import { type ComparableType, type Comparison, isNan, setp } from '../instructions/compare.ts';
import { fabs, floatBinary, fmax, fmin, fneg } from '../instructions/float.ts';
import { abs, add, div, max, min, mulLo, neg, rem, sub } from '../instructions/integer.ts';
import { mov, movPred } from '../instructions/move.ts';
import type { Block, Reg } from '../ir/program.ts';
import type { Bits, Float, Int, RegType, SameWidth, Type32 } from '../ir/types.ts';
import type { Body } from './body.ts';
import { arg, bitType, type Operand } from './operand.ts';

/** Types with `+`, `-`, `*`, `min` and `max`. */
export type Arithmetic = Int | Float;
/** Types with a sign to change. */
export type SignedType = 's32' | 's64' | Float;
type Logical = 'pred' | Bits | Int;
type Shiftable = Bits | Int;

const integers: readonly RegType[] = ['u32', 's32', 'u64', 's64'];
const isInt = (type: RegType): type is Int => integers.includes(type);

/** `x op b` is x itself: a constant that changes nothing, and a register that will not change. */
const isIdentity = (x: Value<RegType>, b: unknown, neutral: number): boolean =>
  b === neutral && !x.reg.mutable;

/** By how many bits to shift instead of dividing, which the assembler does not see by itself. */
function shiftOf(type: RegType, divisor: unknown): number | undefined {
  if (type !== 'u32' || typeof divisor !== 'number' || !(divisor > 1)) return undefined;
  const bits = Math.log2(divisor);
  return Number.isInteger(bits) ? bits : undefined;
}

/** The input of a method whose `this` fixes the type. */
const same = (a: Value<RegType>, b: Operand<RegType>) => arg(a.type, b);

/**
 * A register of a thread, with its type. Values are immutable (see {@link Var} for the exception)
 * and can be used wherever control flow guarantees that they were computed. Each method appends one
 * instruction to the kernel; constants of 32 and 64 bits may stand for the second operand.
 */
export class Value<out T extends RegType> {
  readonly type: T;
  readonly reg: Reg;
  /** The kernel under construction. */
  readonly body: Body;
  /** Where it was defined: it may be used there and in the blocks within. */
  readonly scope: Block;

  constructor(body: Body, type: T, reg: Reg, scope: Block) {
    this.body = body;
    this.type = type;
    this.reg = reg;
    this.scope = scope;
  }

  /** Names the register in the emitted text. */
  named(name: string): this {
    if (this.reg.name === undefined) this.reg.name = name;
    return this;
  }

  /** The same bits read as another type of the same width; no instruction. */
  as<U extends SameWidth<T>>(type: U): Value<U> {
    if (bitType(type) !== bitType(this.type)) {
      this.body.fail(`${this.type} cannot be read as ${type}: their widths differ`);
    }
    return new Value<U>(this.body, type, this.reg, this.scope);
  }

  /** The same 32 bits without a meaning; no instruction. */
  as32(this: Value<Type32>): Value<'b32'> {
    return this.as('b32');
  }

  add<U extends Arithmetic>(this: Value<U>, b: Operand<U>): Value<U> {
    if (!isInt(this.type)) return floatBinary(this.body, 'add', this as Value<never>, b as never);
    if (isIdentity(this, b, 0)) return this;
    return this.body.one(add({ type: this.type }), this.type, [same(this, this), same(this, b)]);
  }

  sub<U extends Arithmetic>(this: Value<U>, b: Operand<U>): Value<U> {
    if (!isInt(this.type)) return floatBinary(this.body, 'sub', this as Value<never>, b as never);
    return this.body.one(sub({ type: this.type }), this.type, [same(this, this), same(this, b)]);
  }

  /** The product; of integers its low half. */
  mul<U extends Arithmetic>(this: Value<U>, b: Operand<U>): Value<U> {
    if (!isInt(this.type)) return floatBinary(this.body, 'mul', this as Value<never>, b as never);
    if (isIdentity(this, b, 1)) return this;
    return this.body.one(mulLo({ type: this.type }), this.type, [same(this, this), same(this, b)]);
  }

  /**
   * The quotient rounded towards zero. Slow unless unsigned by a constant power of two; for floats see
   * `k.divRn` and `k.rcp`.
   */
  div<U extends Int>(this: Value<U>, b: Operand<U>): Value<U> {
    const bits = shiftOf(this.type, b);
    if (bits !== undefined) return this.shr(bits);
    return this.body.one(div({ type: this.type }), this.type, [same(this, this), same(this, b)]);
  }

  /** The remainder, with the sign of the dividend. As slow as the quotient. */
  rem<U extends Int>(this: Value<U>, b: Operand<U>): Value<U> {
    if (shiftOf(this.type, b) !== undefined) return this.and(((b as number) - 1) as Operand<U>);
    return this.body.one(rem({ type: this.type }), this.type, [same(this, this), same(this, b)]);
  }

  /** The smaller; of floats the one that is not NaN. */
  min<U extends Arithmetic>(this: Value<U>, b: Operand<U>): Value<U> {
    const { type } = this;
    const op = isInt(type) ? min({ type }) : fmin({ type: type as Float });
    return this.body.one(op, type, [same(this, this), same(this, b)]);
  }

  /** The larger; of floats the one that is not NaN. */
  max<U extends Arithmetic>(this: Value<U>, b: Operand<U>): Value<U> {
    const { type } = this;
    const op = isInt(type) ? max({ type }) : fmax({ type: type as Float });
    return this.body.one(op, type, [same(this, this), same(this, b)]);
  }

  neg<U extends SignedType>(this: Value<U>): Value<U> {
    const type: SignedType = this.type;
    const op = type === 's32' || type === 's64' ? neg({ type }) : fneg({ type });
    return this.body.one(op, this.type, [same(this, this)]);
  }

  abs<U extends SignedType>(this: Value<U>): Value<U> {
    const type: SignedType = this.type;
    const op = type === 's32' || type === 's64' ? abs({ type }) : fabs({ type });
    return this.body.one(op, this.type, [same(this, this)]);
  }

  and<U extends Logical>(this: Value<U>, b: Operand<U>): Value<U> {
    const bits = bitType(this.type) as 'pred' | Bits;
    return this.body.one(and({ bits }), this.type, [same(this, this), same(this, b)], [bits]);
  }

  or<U extends Logical>(this: Value<U>, b: Operand<U>): Value<U> {
    const bits = bitType(this.type) as 'pred' | Bits;
    return this.body.one(or({ bits }), this.type, [same(this, this), same(this, b)], [bits]);
  }

  xor<U extends Logical>(this: Value<U>, b: Operand<U>): Value<U> {
    const bits = bitType(this.type) as 'pred' | Bits;
    return this.body.one(xor({ bits }), this.type, [same(this, this), same(this, b)], [bits]);
  }

  not<U extends Logical>(this: Value<U>): Value<U> {
    const bits = bitType(this.type) as 'pred' | Bits;
    return this.body.one(not({ bits }), this.type, [same(this, this)], [bits]);
  }

  /** Shifts left; by the width or more gives 0. */
  shl<U extends Shiftable>(this: Value<U>, n: Operand<'u32'>): Value<U> {
    const bits = bitType(this.type) as Bits;
    return this.body.one(shl({ bits }), this.type, [same(this, this), arg('u32', n)], [bits]);
  }

  /** Shifts right, filling signed types with the sign and others with 0. */
  shr<U extends Shiftable>(this: Value<U>, n: Operand<'u32'>): Value<U> {
    return this.body.one(shr({ type: this.type }), this.type, [same(this, this), arg('u32', n)]);
  }

  eq<U extends ComparableType>(this: Value<U>, b: Operand<U>): Value<'pred'> {
    return compare(this, 'eq', b);
  }

  /** Not equal; true if either is NaN. */
  ne<U extends ComparableType>(this: Value<U>, b: Operand<U>): Value<'pred'> {
    return compare(this, 'ne', b);
  }

  lt<U extends Int | 'f32'>(this: Value<U>, b: Operand<U>): Value<'pred'> {
    return compare(this, 'lt', b);
  }

  le<U extends Int | 'f32'>(this: Value<U>, b: Operand<U>): Value<'pred'> {
    return compare(this, 'le', b);
  }

  gt<U extends Int | 'f32'>(this: Value<U>, b: Operand<U>): Value<'pred'> {
    return compare(this, 'gt', b);
  }

  ge<U extends Int | 'f32'>(this: Value<U>, b: Operand<U>): Value<'pred'> {
    return compare(this, 'ge', b);
  }

  /** Compares so that NaN on either side counts as true. */
  unordered(this: Value<'f32'>, is: Comparison, b: Operand<'f32'>): Value<'pred'> {
    return compare(this, is, b, true);
  }

  isNan(this: Value<'f32'>): Value<'pred'> {
    return this.body.one(isNan({}), 'pred', [arg('f32', this)]);
  }
}

function compare<U extends ComparableType>(
  a: Value<U>,
  is: Comparison,
  b: Operand<U>,
  unordered = false,
): Value<'pred'> {
  return a.body.one(setp({ type: a.type, is, unordered }), 'pred', [
    arg(a.type, a),
    arg(a.type, b),
  ]);
}

/**
 * A register that may be written again: what loops carry. Used as an operand it gives its content
 * at that moment; `k.copy(v)` keeps a content beyond the next write.
 */
export class Var<out T extends RegType> extends Value<T> {
  /** Writes the register. */
  set(value: Operand<T> | (T extends 'pred' ? boolean : never)): void {
    const bits = bitType(this.type);
    if (typeof value === 'boolean') {
      this.body.into(movPred({ value }), [this], []);
      return;
    }
    const operand = value as Operand<T>;
    const source =
      typeof operand === 'object'
        ? { reg: operand.reg, type: bits }
        : arg(this.type, operand as number);
    this.body.into(mov({ bits }), [this], [source], [bits]);
  }

  /** `v.set(v + b)`. */
  addTo<U extends Arithmetic>(this: Var<U>, b: Operand<U>): void {
    this.set(this.add(b) as never);
  }
}
