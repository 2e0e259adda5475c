import { DeclarationError } from '../errors.ts';
import type { Arg } from '../ir/program.ts';
import type { RegType, Type64 } from '../ir/types.ts';
import type { Value } from './value.ts';

/** A JavaScript constant that becomes an immediate of type `T`. */
export type Constant<T extends RegType> =
  | (T extends 'u32' | 's32' | 'b32' | 'f32' ? number : never)
  | (T extends Type64 ? number | bigint : never);

/**
 * What an instruction accepts where it reads a `T`: a value of that type, or for 32-bit and 64-bit
 * numbers a constant. `T` comes from another parameter, so that mixed types do not widen it.
 */
export type Operand<T extends RegType> = Value<NoInfer<T>> | Constant<T>;

/**
 * Turns an operand into an instruction's input, read as `type`.
 * @throws DeclarationError for a constant that the type cannot hold.
 */
export function arg(type: RegType, operand: Value<RegType> | number | bigint): Arg {
  if (typeof operand === 'object') return { reg: operand.reg, type };
  return { imm: checkImmediate(type, operand), type };
}

const ranges: Partial<Record<RegType, readonly [bigint, bigint]>> = {
  u32: [-(2n ** 31n), 2n ** 32n],
  s32: [-(2n ** 31n), 2n ** 31n],
  b32: [-(2n ** 31n), 2n ** 32n],
  u64: [-(2n ** 63n), 2n ** 64n],
  s64: [-(2n ** 63n), 2n ** 63n],
  b64: [-(2n ** 63n), 2n ** 64n],
};

function checkImmediate(type: RegType, value: number | bigint): number | bigint {
  if (type === 'f32') return Number(value);
  const range = ranges[type];
  if (range === undefined) {
    throw new DeclarationError(`a ${type} operand cannot be the constant ${value}; use k.splat`);
  }
  if (typeof value === 'number' && !Number.isInteger(value)) {
    throw new DeclarationError(`the constant ${value} is not an integer, as ${type} needs`);
  }
  const big = BigInt(value);
  if (big < range[0] || big >= range[1]) {
    throw new DeclarationError(`the constant ${value} does not fit ${type}`);
  }
  return value;
}

/** The bit type of the same width: how moves and selects treat a value. */
export function bitType(type: RegType): 'pred' | 'b16' | 'b32' | 'b64' {
  if (type === 'pred') return 'pred';
  const narrow: readonly RegType[] = ['b16', 'f16', 'bf16', 'e4m3x2'];
  const wide: readonly RegType[] = ['b64', 'u64', 's64'];
  return narrow.includes(type) ? 'b16' : wide.includes(type) ? 'b64' : 'b32';
}
