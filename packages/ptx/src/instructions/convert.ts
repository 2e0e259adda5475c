import type { Body } from '../builder/body.ts';
import { arg } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import type { Requirement } from '../emit/target.ts';
import { instruction, type LaneReg } from '../ir/instruction.ts';
import type { Int, Int32, Int64, Packed16, Scalar16 } from '../ir/types.ts';

/** How a float becomes an integer: to nearest even, towards zero, down, up. */
export type IntegerRounding = 'nearest' | 'zero' | 'down' | 'up';

const roundingCode = { nearest: 'rni', zero: 'rzi', down: 'rmi', up: 'rpi' } as const;
const roundingHelper = {
  nearest: 'roundEven',
  zero: 'Math.trunc',
  down: 'Math.floor',
  up: 'Math.ceil',
} as const;

const big = (type: Int, r: LaneReg): string =>
  type === 'u64' ? `bigU(${r.lo}, ${r.hi})` : `bigS(${r.lo}, ${r.hi})`;

/** Between integer widths: sign- or zero-extends by the source type, or truncates. */
export const cvtInt = instruction<{ readonly to: Int; readonly from: Int }>({
  name: 'cvt',
  kind: 'convert',
  ptx: ({ to, from }, [d], [a]) => `cvt.${to}.${from} ${d}, ${a}`,
  lane: ({ to, from }, [d], [a]) => {
    if (to === 'u32' || to === 's32') return `${d.v} = ${a.lo};`;
    return `${d.lo} = ${a.v}; ${d.hi} = ${from === 's32' ? `${a.v} >> 31` : '0'};`;
  },
});

/** Integer to f32, to nearest even. */
export const cvtIntToF32 = instruction<{ readonly from: Int }>({
  name: 'cvt',
  kind: 'convert',
  ptx: ({ from }, [d], [a]) => `cvt.rn.f32.${from} ${d}, ${a}`,
  lane: ({ from }, [d], [a]) => {
    if (from === 'u32') return `${d.v} = Math.fround(${a.v} >>> 0);`;
    if (from === 's32') return `${d.v} = Math.fround(${a.v});`;
    return `${d.v} = bigToF32(${big(from, a)});`;
  },
});

/** f32 to a 32-bit integer, clamped to its range; NaN gives 0. */
export const cvtF32ToInt = instruction<{ readonly to: Int32; readonly rounding: IntegerRounding }>({
  name: 'cvt',
  kind: 'convert',
  ptx: ({ to, rounding }, [d], [a]) => `cvt.${roundingCode[rounding]}.${to}.f32 ${d}, ${a}`,
  lane: ({ to, rounding }, [d], [a]) =>
    `${d.v} = ${to === 'u32' ? 'clampU32' : 'clampS32'}(${roundingHelper[rounding]}(${a.v}));`,
});

/** f32 to an integer-valued f32. */
export const cvtRound = instruction<{ readonly rounding: IntegerRounding }>({
  name: 'cvt',
  kind: 'convert',
  ptx: ({ rounding }, [d], [a]) => `cvt.${roundingCode[rounding]}.f32.f32 ${d}, ${a}`,
  lane: ({ rounding }, [d], [a]) => `${d.v} = ${roundingHelper[rounding]}(${a.v});`,
});

const to16 = (type: Scalar16 | Packed16): string => (type.startsWith('bf16') ? 'toBf16' : 'toF16');

/** f32 to a 16-bit float, to nearest even. */
export const cvtF32ToHalf = instruction<{ readonly to: Scalar16 }>({
  name: 'cvt',
  kind: 'convert',
  ptx: ({ to }, [d], [a]) => `cvt.rn.${to}.f32 ${d}, ${a}`,
  lane: ({ to }, [d], [a]) => `${d.v} = ${to16(to)}(${a.v});`,
});

/** f16 to f32, exactly. */
export const cvtF16ToF32 = instruction({
  name: 'cvt',
  kind: 'convert',
  ptx: (_, [d], [a]) => `cvt.f32.f16 ${d}, ${a}`,
  lane: (_, [d], [a]) => `${d.v} = fromF16(${a.v});`,
});

/** Two f32 to a packed pair; the PTX instruction names the high element first. */
export const cvtPack = instruction<{ readonly to: Packed16; readonly relu?: boolean | undefined }>({
  name: 'cvt',
  kind: 'convert',
  ptx: ({ to, relu }, [d], [hi, lo]) => `cvt.rn${relu ? '.relu' : ''}.${to}.f32 ${d}, ${hi}, ${lo}`,
  lane: ({ to, relu }, [d], [hi, lo]) => {
    const input = (r: LaneReg) => (relu ? `relu(${r.v})` : r.v);
    return `${d.v} = ${to16(to)}(${input(lo)}) | (${to16(to)}(${input(hi)}) << 16);`;
  },
});

const fp8Needs = (): Requirement => ({ sm: 89, ptx: 81 });

/** Two f32 to a pair of e4m3, to nearest even, beyond ±448 to ±448. */
export const cvtE4m3FromF32 = instruction({
  name: 'cvt',
  kind: 'convert',
  requires: fp8Needs,
  ptx: (_, [d], [hi, lo]) => `cvt.rn.satfinite.e4m3x2.f32 ${d}, ${hi}, ${lo}`,
  lane: (_, [d], [hi, lo]) => `${d.v} = toE4m3(${lo.v}) | (toE4m3(${hi.v}) << 8);`,
});

/** A pair of f16 to a pair of e4m3, to nearest even, beyond ±448 to ±448. */
export const cvtE4m3FromF16 = instruction({
  name: 'cvt',
  kind: 'convert',
  requires: fp8Needs,
  ptx: (_, [d], [a]) => `cvt.rn.satfinite.e4m3x2.f16x2 ${d}, ${a}`,
  lane: (_, [d], [a]) =>
    `${d.v} = toE4m3(fromF16(${a.v} & 0xffff)) | (toE4m3(fromF16(${a.v} >>> 16)) << 8);`,
});

/** A pair of e4m3 to a pair of f16, exactly. */
export const cvtE4m3ToF16 = instruction({
  name: 'cvt',
  kind: 'convert',
  requires: fp8Needs,
  ptx: (_, [d], [a]) => `cvt.rn.f16x2.e4m3x2 ${d}, ${a}`,
  lane: (_, [d], [a]) => `${d.v} = e4m3ToF16(${a.v} & 0xff) | (e4m3ToF16(${a.v} >>> 8) << 16);`,
});

/** Conversions between types; a change of meaning without a change of bits is `value.as`. */
export const convertOps = (body: Body) => ({
  /** An integer to f32 (nearest even), or a 16-bit float to f32 (exact). */
  toF32(a: Value<Int> | Value<'f16'> | Value<'bf16'>): Value<'f32'> {
    if (a.type === 'f16') return body.one(cvtF16ToF32({}), 'f32', [arg('f16', a as Value<'f16'>)]);
    if (a.type === 'bf16') {
      const zero = body.one(zero16({}), 'b16', []);
      return body.one(
        widenBf16({}),
        'f32',
        [arg('b16', zero), arg('b16', a as Value<'bf16'>)],
        ['b32'],
      );
    }
    const int = a as Value<Int>;
    return body.one(cvtIntToF32({ from: int.type }), 'f32', [arg(int.type, int)]);
  },
  /** f32 to f16, to nearest even. */
  toF16(a: Value<'f32'>): Value<'f16'> {
    return body.one(cvtF32ToHalf({ to: 'f16' }), 'f16', [arg('f32', a)]);
  },
  /** f32 to bf16, to nearest even. */
  toBf16(a: Value<'f32'>): Value<'bf16'> {
    return body.one(cvtF32ToHalf({ to: 'bf16' }), 'bf16', [arg('f32', a)]);
  },
  /** f32 to s32, clamped; NaN gives 0. */
  toS32(a: Value<'f32'>, rounding: IntegerRounding = 'zero'): Value<'s32'> {
    return body.one(cvtF32ToInt({ to: 's32', rounding }), 's32', [arg('f32', a)]);
  },
  /** f32 to u32, clamped; NaN gives 0. */
  toU32(a: Value<'f32'>, rounding: IntegerRounding = 'zero'): Value<'u32'> {
    return body.one(cvtF32ToInt({ to: 'u32', rounding }), 'u32', [arg('f32', a)]);
  },
  /** f32 to the integer-valued f32 that `rounding` picks. */
  round(a: Value<'f32'>, rounding: IntegerRounding): Value<'f32'> {
    return body.one(cvtRound({ rounding }), 'f32', [arg('f32', a)]);
  },
  /** 32 to 64 bits, by the sign of the type. */
  widen<T extends Int32>(a: Value<T>): Value<T extends 'u32' ? 'u64' : 's64'> {
    const to = (a.type === 'u32' ? 'u64' : 's64') as T extends 'u32' ? 'u64' : 's64';
    return body.one(cvtInt({ to, from: a.type }), to, [arg(a.type, a)]);
  },
  /** The low 32 of 64 bits. */
  narrow<T extends Int64>(a: Value<T>): Value<T extends 'u64' ? 'u32' : 's32'> {
    const to = (a.type === 'u64' ? 'u32' : 's32') as T extends 'u64' ? 'u32' : 's32';
    return body.one(cvtInt({ to, from: a.type }), to, [arg(a.type, a)]);
  },
  /** Two f32 as f16 (nearest even), `lo` in the low bits; `relu` turns negatives to 0. */
  packF16x2(lo: Value<'f32'>, hi: Value<'f32'>, options: { relu?: boolean } = {}): Value<'f16x2'> {
    return body.one(cvtPack({ to: 'f16x2', ...options }), 'f16x2', [
      arg('f32', hi),
      arg('f32', lo),
    ]);
  },
  /** Two f32 as bf16 (nearest even), `lo` in the low bits; `relu` turns negatives to 0. */
  packBf16x2(
    lo: Value<'f32'>,
    hi: Value<'f32'>,
    options: { relu?: boolean } = {},
  ): Value<'bf16x2'> {
    return body.one(cvtPack({ to: 'bf16x2', ...options }), 'bf16x2', [
      arg('f32', hi),
      arg('f32', lo),
    ]);
  },
  /** Hardware e4m3 (sm_89 up): two f32 to e4m3, nearest even, saturating at ±448. */
  cvtE4m3x2(lo: Value<'f32'>, hi: Value<'f32'>): Value<'e4m3x2'> {
    return body.one(cvtE4m3FromF32({}), 'e4m3x2', [arg('f32', hi), arg('f32', lo)]);
  },
  /** Hardware e4m3 (sm_89 up): a pair of f16 to e4m3, nearest even, saturating at ±448. */
  cvtE4m3x2FromF16x2(a: Value<'f16x2'>): Value<'e4m3x2'> {
    return body.one(cvtE4m3FromF16({}), 'e4m3x2', [arg('f16x2', a)]);
  },
  /** Hardware e4m3 (sm_89 up): a pair of e4m3 to f16, exactly. */
  cvtE4m3x2ToF16x2(a: Value<'e4m3x2'>): Value<'f16x2'> {
    return body.one(cvtE4m3ToF16({}), 'f16x2', [arg('e4m3x2', a)]);
  },
});

/** bf16 to f32 is a shift by 16: the `cvt` for it came only with sm_90. */
const widenBf16 = instruction({
  name: 'mov',
  kind: 'convert',
  ptx: (_, [d], [zero, a]) => `mov.b32 ${d}, {${zero}, ${a}}`,
  lane: (_, [d], [, a]) => `${d.v} = ${a.v} << 16;`,
});

const zero16 = instruction({
  name: 'mov',
  kind: 'move',
  ptx: (_, [d]) => `mov.b16 ${d}, 0`,
  lane: (_, [d]) => `${d.v} = 0;`,
});
