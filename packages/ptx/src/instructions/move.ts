import type { Body } from '../builder/body.ts';
import { arg, bitType, type Constant, type Operand } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { Float, RegType, Type16 } from '../ir/types.ts';
import { bf16Bits, f16Bits } from '../sim/numerics/half.ts';

type Width = 'pred' | 'b16' | 'b32' | 'b64';

/** Copies bits. */
export const mov = instruction<{ readonly bits: Width }>({
  name: 'mov',
  kind: 'move',
  ptx: ({ bits }, [d], [a]) => `mov.${bits} ${d}, ${a}`,
  lane: ({ bits }, [d], [a]) =>
    bits === 'b64' ? `${d.lo} = ${a.lo}; ${d.hi} = ${a.hi};` : `${d.v} = ${a.bits};`,
});

/** `p ? a : b`. */
export const selp = instruction<{ readonly bits: 'b16' | 'b32' | 'b64' }>({
  name: 'selp',
  kind: 'move',
  ptx: ({ bits }, [d], [a, b, p]) => `selp.${bits} ${d}, ${a}, ${b}, ${p}`,
  lane: ({ bits }, [d], [a, b, p]) =>
    bits === 'b64'
      ? `${d.lo} = ${p.v} ? ${a.lo} : ${b.lo}; ${d.hi} = ${p.v} ? ${a.hi} : ${b.hi};`
      : `${d.v} = ${p.v} ? ${a.bits} : ${b.bits};`,
});

/** Two halves into one register, the first in the low bits. */
export const pack = instruction<{ readonly bits: 'b32' | 'b64' }>({
  name: 'mov',
  kind: 'move',
  ptx: ({ bits }, [d], [lo, hi]) => `mov.${bits} ${d}, {${lo}, ${hi}}`,
  lane: ({ bits }, [d], [lo, hi]) =>
    bits === 'b64'
      ? `${d.lo} = ${lo.v}; ${d.hi} = ${hi.v};`
      : `${d.v} = ${lo.v} | (${hi.v} << 16);`,
});

/** One register into its halves, the low bits first. */
export const unpack = instruction<{ readonly bits: 'b32' | 'b64' }>({
  name: 'mov',
  kind: 'move',
  ptx: ({ bits }, [lo, hi], [a]) => `mov.${bits} {${lo}, ${hi}}, ${a}`,
  lane: ({ bits }, [lo, hi], [a]) =>
    bits === 'b64'
      ? `${lo.v} = ${a.lo}; ${hi.v} = ${a.hi};`
      : `${lo.v} = ${a.v} & 0xffff; ${hi.v} = ${a.v} >>> 16;`,
});

/** The address of the CTA's shared-memory window, or of a constant array. */
export const address = instruction<{
  readonly symbol: string;
  readonly bits: 'b32' | 'b64';
  readonly value: number;
}>({
  name: 'mov',
  kind: 'move',
  ptx: ({ symbol, bits }, [d]) => `mov.${bits} ${d}, ${symbol}`,
  lane: ({ value, bits }, [d]) =>
    bits === 'b64' ? `${d.lo} = ${value}; ${d.hi} = 0;` : `${d.v} = ${value};`,
});

/** The generic address of a parameter that is passed by value; `place` is its simulated address. */
export const paramAddress = instruction<{ readonly symbol: string; readonly place: number }>({
  name: 'cvta.param',
  kind: 'move',
  requires: () => ({ sm: 80, ptx: 77 }),
  ptx: ({ symbol }, [d]) => `mov.b64 ${d}, ${symbol};\n  cvta.param.u64 ${d}, ${d}`,
  lane: ({ place }, [d]) => `${d.lo} = ${place}; ${d.hi} = 0;`,
});

/** Sets a predicate to a constant, which PTX does by comparing. */
export const movPred = instruction<{ readonly value: boolean }>({
  name: 'setp',
  kind: 'move',
  ptx: ({ value }, [d]) => `setp.${value ? 'eq' : 'ne'}.u32 ${d}, 0, 0`,
  lane: ({ value }, [d]) => `${d.v} = ${value ? 1 : 0};`,
});

/** The constant `x` in every element of a floating-point type. */
export function splatConst<T extends Float>(body: Body, type: T, x: number): Value<T> {
  if (type === 'f32') return body.one(mov({ bits: 'b32' }), type, [arg('f32', x)], ['b32']);
  const half = type === 'f16' || type === 'f16x2' ? f16Bits(x) : bf16Bits(x);
  const packed = type === 'f16x2' || type === 'bf16x2';
  const bits = packed ? half | (half << 16) : half;
  const width = packed ? 'b32' : 'b16';
  return body.one(mov({ bits: width }), type, [{ imm: bits >>> 0, type: width }], [width]);
}

type Word32 = 'b32' | 'f16x2' | 'bf16x2' | 'u32' | 's32' | 'e4m3x4';

/** Moves, constants, selection, and taking registers apart. */
export const moveOps = (body: Body) => ({
  /** A register holding a constant of the given type. */
  constant<T extends 'u32' | 's32' | 'b32' | 'f32' | 'u64' | 's64' | 'b64'>(
    type: T,
    value: Operand<T> | number,
  ): Value<T> {
    const bits = bitType(type) as 'b32' | 'b64';
    return body.one(mov({ bits }), type, [arg(type, value)], [bits]);
  },
  /** A register with `x` in every element: the constants of 16-bit and packed types. */
  splat<T extends Float>(type: T, x: number): Value<T> {
    return splatConst(body, type, x);
  },
  /** A fresh copy: keeps the present value of a variable that will change. */
  copy<T extends Exclude<RegType, 'pred'>>(a: Value<T>): Value<T> {
    const bits = bitType(a.type);
    return body.one(mov({ bits }), a.type as T, [{ reg: a.reg, type: bits }], [bits]);
  },
  /** `condition ? a : b`, lane by lane. If `a` is a constant, the last argument gives the type. */
  select<T extends Exclude<RegType, 'pred'> = never>(
    condition: Value<'pred'>,
    a: Value<T> | Constant<T>,
    b: Operand<T>,
    type?: T,
  ): Value<T> {
    const chosen = (typeof a === 'object' ? a.type : typeof b === 'object' ? b.type : type) as
      | T
      | undefined;
    if (chosen === undefined) body.fail('select of two constants needs the type as 4th argument');
    const bits = bitType(chosen) as 'b16' | 'b32' | 'b64';
    const input = (x: Value<T> | Constant<T>) =>
      typeof x === 'object' ? { reg: x.reg, type: bits } : arg(chosen, x);
    return body.one(selp({ bits }), chosen, [input(a), input(b), arg('pred', condition)], [bits]);
  },
  /** Two 16-bit values in one register, `lo` in the low bits. */
  join<T extends Type16>(lo: Value<T>, hi: Value<T>): Value<JoinOf<T>> {
    const joined = { f16: 'f16x2', bf16: 'bf16x2', e4m3x2: 'e4m3x4', b16: 'b32' } as const;
    return body.one(pack({ bits: 'b32' }), joined[lo.type as Type16] as JoinOf<T>, [
      arg('b16', lo),
      arg('b16', hi),
    ]) as Value<JoinOf<T>>;
  },
  /** The low and the high 16 bits of a register. */
  split<T extends Word32>(a: Value<T>): [Value<SplitOf<T>>, Value<SplitOf<T>>] {
    const parts: Partial<Record<RegType, Type16>> = {
      f16x2: 'f16',
      bf16x2: 'bf16',
      e4m3x4: 'e4m3x2',
    };
    const type = (parts[a.type] ?? 'b16') as SplitOf<T>;
    const [lo, hi] = body.many(unpack({ bits: 'b32' }), [type, type], [arg('b32', a)]);
    return [lo, hi];
  },
  /** Two 32-bit values in one 64-bit register, `lo` in the low bits. */
  join64(lo: Value<'b32' | 'u32' | 's32'>, hi: Value<'b32' | 'u32' | 's32'>): Value<'b64'> {
    return body.one(pack({ bits: 'b64' }), 'b64', [arg('b32', lo), arg('b32', hi)]);
  },
  /** The low and the high 32 bits of a 64-bit register. */
  split64(a: Value<'b64' | 'u64' | 's64'>): [Value<'b32'>, Value<'b32'>] {
    const [lo, hi] = body.many(unpack({ bits: 'b64' }), ['b32', 'b32'], [arg('b64', a)]);
    return [lo, hi];
  },
});

/** The type of two joined 16-bit values. */
export type JoinOf<T extends Type16> = T extends 'f16'
  ? 'f16x2'
  : T extends 'bf16'
    ? 'bf16x2'
    : T extends 'e4m3x2'
      ? 'e4m3x4'
      : 'b32';

/** The type of either half of a 32-bit value. */
export type SplitOf<T extends Word32> = T extends 'f16x2'
  ? 'f16'
  : T extends 'bf16x2'
    ? 'bf16'
    : T extends 'e4m3x4'
      ? 'e4m3x2'
      : 'b16';
