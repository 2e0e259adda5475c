import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import type { Requirement } from '../emit/target.ts';
import { instruction, type LaneReg } from '../ir/instruction.ts';
import type { Float } from '../ir/types.ts';
import { splatConst } from './move.ts';

interface Typed {
  readonly type: Float;
}

interface Rounded extends Typed {
  /** Flush subnormal inputs and results to zero (f32 only). */
  readonly ftz?: boolean | undefined;
  /** Clamp the result to [0, 1], NaN to 0 (f32 only). */
  readonly sat?: boolean | undefined;
}

const isBf16 = (type: Float): boolean => type === 'bf16' || type === 'bf16x2';

/** Bfloat16 add, sub and mul came with sm_90; fma was there from sm_80. */
const bf16Needs90 = ({ type }: Typed): Requirement | undefined =>
  isBf16(type) ? { sm: 90, ptx: 78 } : undefined;

const f32Only = ({ type, ftz, sat }: Rounded): string | undefined =>
  type !== 'f32' && (ftz || sat) ? `ftz and sat apply to f32, not to ${type}` : undefined;

const qualifiers = ({ type, ftz, sat }: Rounded): string =>
  `.rn${ftz ? '.ftz' : ''}${sat ? '.sat' : ''}.${type}`;

/**
 * Statements that compute `f` in each element of the type. The operation is done in double, which
 * is exact enough for one rounding to the type to be the correct one (see sim/numerics/fma.ts).
 */
export function elementwise(
  type: Float,
  d: LaneReg,
  src: readonly LaneReg[],
  f: (...x: string[]) => string,
): string {
  const of = (convert: (v: string) => string): string => f(...src.map((s) => convert(s.v)));
  switch (type) {
    case 'f32':
      return `${d.v} = Math.fround(${of((v) => v)});`;
    case 'f16':
      return `${d.v} = toF16(${of((v) => `fromF16(${v})`)});`;
    case 'bf16':
      return `${d.v} = toBf16(${of((v) => `fromBf16(${v})`)});`;
    case 'f16x2':
      return `${d.v} = toF16(${of((v) => `fromF16(${v} & 0xffff)`)}) | (toF16(${of((v) => `fromF16(${v} >>> 16)`)}) << 16);`;
    case 'bf16x2':
      return `${d.v} = toBf16(${of((v) => `fromBf16(${v} & 0xffff)`)}) | (toBf16(${of((v) => `fromBf16(${v} >>> 16)`)}) << 16);`;
  }
}

function f32Options(
  attrs: Rounded,
  d: LaneReg,
  src: readonly LaneReg[],
  f: (...x: string[]) => string,
) {
  const { type, ftz, sat } = attrs;
  const flushed = ftz ? src.map((s) => ({ ...s, v: `flush(${s.v})` })) : src;
  let text = elementwise(type, d, flushed, f);
  if (ftz) text += ` ${d.v} = flush(${d.v});`;
  if (sat) text += ` ${d.v} = saturate(${d.v});`;
  return text;
}

const binary = (name: 'add' | 'sub' | 'mul', symbol: '+' | '-' | '*') =>
  instruction<Rounded>({
    name,
    kind: 'float',
    requires: bf16Needs90,
    check: f32Only,
    ptx: (attrs, [d], [a, b]) => `${name}${qualifiers(attrs)} ${d}, ${a}, ${b}`,
    lane: (attrs, [d], src) => f32Options(attrs, d, src, (a, b) => `${a} ${symbol} ${b}`),
  });

export const fadd = binary('add', '+');
export const fsub = binary('sub', '-');
export const fmul = binary('mul', '*');

/** a × b + c with one rounding. */
export const ffma = instruction<Rounded>({
  name: 'fma',
  kind: 'float',
  check: f32Only,
  ptx: (attrs, [d], [a, b, c]) => `fma${qualifiers(attrs)} ${d}, ${a}, ${b}, ${c}`,
  lane: (attrs, [d], src) =>
    f32Options(attrs, d, src, (a, b, c) =>
      attrs.type === 'f32' ? `fma32(${a}, ${b}, ${c})` : `fmaOdd(${a}, ${b}, ${c})`,
    ),
});

interface MinMax extends Typed {
  /** NaN if either input is NaN; otherwise a NaN input is ignored. */
  readonly nan?: boolean | undefined;
}

const pick = (name: 'min' | 'max') =>
  instruction<MinMax>({
    name,
    kind: 'float',
    ptx: ({ type, nan }, [d], [a, b]) => `${name}${nan ? '.NaN' : ''}.${type} ${d}, ${a}, ${b}`,
    lane: ({ type, nan }, [d], src) =>
      elementwise(type, d, src, (a, b) => `${nan ? `Math.${name}` : `${name}Num`}(${a}, ${b})`),
  });

export const fmin = pick('min');
export const fmax = pick('max');

const signBit = (type: Float): string =>
  ({ f32: '', f16: '0x8000', bf16: '0x8000', f16x2: '0x80008000', bf16x2: '0x80008000' })[type];

export const fneg = instruction<Typed>({
  name: 'neg',
  kind: 'float',
  ptx: ({ type }, [d], [a]) => `neg.${type} ${d}, ${a}`,
  lane: ({ type }, [d], [a]) =>
    type === 'f32' ? `${d.v} = -${a.v};` : `${d.v} = ${a.v} ^ ${signBit(type)};`,
});

export const fabs = instruction<Typed>({
  name: 'abs',
  kind: 'float',
  ptx: ({ type }, [d], [a]) => `abs.${type} ${d}, ${a}`,
  lane: ({ type }, [d], [a]) =>
    type === 'f32' ? `${d.v} = Math.abs(${a.v});` : `${d.v} = ${a.v} & ~${signBit(type)};`,
});

/** Floating-point options of {@link floatOps}. */
export interface FloatOptions {
  /** Flush subnormal inputs and results to zero. */
  readonly ftz?: boolean;
  /** Clamp the result to [0, 1]. */
  readonly sat?: boolean;
}

/**
 * a + b, a − b or a × b. Before sm_90 bfloat16 has only fma, which gives the same bits when one
 * operand is 1, −1 or −0.
 */
export function floatBinary<T extends Float>(
  body: Body,
  op: 'add' | 'sub' | 'mul',
  a: Value<T>,
  b: Operand<T>,
  options: FloatOptions = {},
): Value<T> {
  const type: T = a.type;
  const entry = { add: fadd, sub: fsub, mul: fmul }[op];
  if (!isBf16(type) || body.target.sm >= 90) {
    return body.one(entry({ type, ...options }), type, [arg(type, a), arg(type, b)]);
  }
  const constant = (x: number): Value<T> => splatConst(body, type, x);
  const [x, y, z] = {
    add: (): Operand<T>[] => [a, constant(1), b],
    sub: (): Operand<T>[] => [b, constant(-1), a],
    mul: (): Operand<T>[] => [a, b, constant(-0)],
  }[op]();
  return body.one(ffma({ type }), type, [arg(type, x), arg(type, y), arg(type, z)]);
}

/** Floating-point arithmetic beyond the methods of {@link Value}. */
export const floatOps = (body: Body) => ({
  /** a × b + c, rounded once. */
  fma<T extends Float>(
    a: Value<T>,
    b: Operand<T>,
    c: Operand<T>,
    options: FloatOptions = {},
  ): Value<T> {
    const type = a.type;
    return body.one(ffma({ type, ...options }), type, [arg(type, a), arg(type, b), arg(type, c)]);
  },
  /** a + b with options that the method `a.add(b)` lacks. */
  fadd: (a: Value<'f32'>, b: Operand<'f32'>, options: FloatOptions): Value<'f32'> =>
    floatBinary(body, 'add', a, b, options),
  /** a × b with options that the method `a.mul(b)` lacks. */
  fmul: (a: Value<'f32'>, b: Operand<'f32'>, options: FloatOptions): Value<'f32'> =>
    floatBinary(body, 'mul', a, b, options),
  /** The smaller of both, NaN if either is NaN (`a.min(b)` ignores a NaN). */
  minNan<T extends Float>(a: Value<T>, b: Operand<T>): Value<T> {
    return body.one(fmin({ type: a.type, nan: true }), a.type, [arg(a.type, a), arg(a.type, b)]);
  },
  /** The larger of both, NaN if either is NaN (`a.max(b)` ignores a NaN). */
  maxNan<T extends Float>(a: Value<T>, b: Operand<T>): Value<T> {
    return body.one(fmax({ type: a.type, nan: true }), a.type, [arg(a.type, a), arg(a.type, b)]);
  },
});
