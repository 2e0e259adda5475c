import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import { instruction, type LaneReg } from '../ir/instruction.ts';
import type { Int, Int32, Int64 } from '../ir/types.ts';

interface Typed {
  readonly type: Int;
}

const wide = (type: Int): boolean => type === 'u64' || type === 's64';
const unsigned = (type: Int): boolean => type === 'u32' || type === 'u64';
const u = (r: LaneReg): string => `(${r.v} >>> 0)`;

/** Statements that give `d` the 64-bit result of a BigInt expression. */
const fromBig = (d: LaneReg, expression: string): string =>
  `{ const t = ${expression}; ${d.lo} = Number(BigInt.asIntN(32, t)); ${d.hi} = Number(BigInt.asIntN(32, t >> 32n)); }`;
const toBig = (type: Int, r: LaneReg): string =>
  type === 'u64' ? `bigU(${r.lo}, ${r.hi})` : `bigS(${r.lo}, ${r.hi})`;

/** Modulo 2^N. */
export const add = instruction<Typed>({
  name: 'add',
  kind: 'integer',
  ptx: ({ type }, [d], [a, b]) => `add.${type} ${d}, ${a}, ${b}`,
  lane: ({ type }, [d], [a, b]) =>
    wide(type)
      ? `${d.lo} = (${a.lo} + ${b.lo}) | 0; ${d.hi} = (${a.hi} + ${b.hi} + ((${d.lo} >>> 0) < (${a.lo} >>> 0) ? 1 : 0)) | 0;`
      : `${d.v} = (${a.v} + ${b.v}) | 0;`,
});

/** Modulo 2^N. */
export const sub = instruction<Typed>({
  name: 'sub',
  kind: 'integer',
  ptx: ({ type }, [d], [a, b]) => `sub.${type} ${d}, ${a}, ${b}`,
  lane: ({ type }, [d], [a, b]) =>
    wide(type)
      ? `${d.lo} = (${a.lo} - ${b.lo}) | 0; ${d.hi} = (${a.hi} - ${b.hi} - ((${a.lo} >>> 0) < (${b.lo} >>> 0) ? 1 : 0)) | 0;`
      : `${d.v} = (${a.v} - ${b.v}) | 0;`,
});

const mulLo64 = (d: LaneReg, a: LaneReg, b: LaneReg): string =>
  `${d.hi} = (mulHiU(${a.lo}, ${b.lo}) + Math.imul(${a.lo}, ${b.hi}) + Math.imul(${a.hi}, ${b.lo})) | 0; ${d.lo} = Math.imul(${a.lo}, ${b.lo});`;

/** The low half of the product. */
export const mulLo = instruction<Typed>({
  name: 'mul.lo',
  kind: 'integer',
  ptx: ({ type }, [d], [a, b]) => `mul.lo.${type} ${d}, ${a}, ${b}`,
  lane: ({ type }, [d], [a, b]) =>
    wide(type) ? mulLo64(d, a, b) : `${d.v} = Math.imul(${a.v}, ${b.v});`,
});

/** The high half of the product. */
export const mulHi = instruction<Typed>({
  name: 'mul.hi',
  kind: 'integer',
  ptx: ({ type }, [d], [a, b]) => `mul.hi.${type} ${d}, ${a}, ${b}`,
  lane: ({ type }, [d], [a, b]) =>
    wide(type)
      ? fromBig(d, `(${toBig(type, a)} * ${toBig(type, b)}) >> 64n`)
      : `${d.v} = ${unsigned(type) ? 'mulHiU' : 'mulHiS'}(${a.v}, ${b.v});`,
});

const wideProduct = (type: Int, d: LaneReg, a: LaneReg, b: LaneReg): string =>
  `${d.lo} = Math.imul(${a.v}, ${b.v}); ${d.hi} = ${unsigned(type) ? 'mulHiU' : 'mulHiS'}(${a.v}, ${b.v});`;

/** 32 × 32 → 64 bits. */
export const mulWide = instruction<{ readonly type: Int32 }>({
  name: 'mul.wide',
  kind: 'integer',
  ptx: ({ type }, [d], [a, b]) => `mul.wide.${type} ${d}, ${a}, ${b}`,
  lane: ({ type }, [d], [a, b]) => wideProduct(type, d, a, b),
});

/** The low half of a × b, plus c. */
export const madLo = instruction<Typed>({
  name: 'mad.lo',
  kind: 'integer',
  ptx: ({ type }, [d], [a, b, c]) => `mad.lo.${type} ${d}, ${a}, ${b}, ${c}`,
  lane: ({ type }, [d], [a, b, c]) =>
    wide(type)
      ? `{ let lo = 0, hi = 0; ${mulLo64({ v: '', lo: 'lo', hi: 'hi', bits: '' }, a, b)} hi = (hi + ${c.hi}) | 0; lo = (lo + ${c.lo}) | 0; if ((lo >>> 0) < (${c.lo} >>> 0)) hi = (hi + 1) | 0; ${d.lo} = lo; ${d.hi} = hi; }`
      : `${d.v} = (Math.imul(${a.v}, ${b.v}) + ${c.v}) | 0;`,
});

/** 32 × 32 + 64 → 64 bits: the address of an array element in one instruction. */
export const madWide = instruction<{ readonly type: Int32 }>({
  name: 'mad.wide',
  kind: 'integer',
  ptx: ({ type }, [d], [a, b, c]) => `mad.wide.${type} ${d}, ${a}, ${b}, ${c}`,
  lane: ({ type }, [d], [a, b, c]) =>
    `{ let lo = 0, hi = 0; ${wideProduct(type, { v: '', lo: 'lo', hi: 'hi', bits: '' }, a, b)} hi = (hi + ${c.hi}) | 0; lo = (lo + ${c.lo}) | 0; if ((lo >>> 0) < (${c.lo} >>> 0)) hi = (hi + 1) | 0; ${d.lo} = lo; ${d.hi} = hi; }`,
});

/** The check that both divisions start with; `$fault` is the simulator's error at this place. */
const checkDivisor = (type: Int, b: LaneReg): string =>
  `if (${wide(type) ? `(${b.lo} | ${b.hi})` : b.v} === 0) $fault('division by zero', 'the divisor is 0'); `;

const quotient = (name: 'div' | 'rem', symbol: '/' | '%') =>
  instruction<Typed>({
    name,
    kind: 'integer',
    ptx: ({ type }, [d], [a, b]) => `${name}.${type} ${d}, ${a}, ${b}`,
    lane: ({ type }, [d], [a, b]) => {
      const check = checkDivisor(type, b);
      if (wide(type)) return check + fromBig(d, `${toBig(type, a)} ${symbol} ${toBig(type, b)}`);
      const [x, y] = unsigned(type) ? [u(a), u(b)] : [a.v, b.v];
      return `${check}${d.v} = (${x} ${symbol} ${y}) | 0;`;
    },
  });

/** Quotient, rounded towards zero. Dividing by zero has no defined result; the simulator throws. */
export const div = quotient('div', '/');
/** Remainder, with the sign of the dividend. */
export const rem = quotient('rem', '%');

/** a < b as a JavaScript condition. */
export function less(type: Int, a: LaneReg, b: LaneReg): string {
  if (wide(type)) {
    return `less${type === 'u64' ? 'U' : 'S'}64(${a.lo}, ${a.hi}, ${b.lo}, ${b.hi})`;
  }
  return unsigned(type) ? `${u(a)} < ${u(b)}` : `${a.v} < ${b.v}`;
}

const choose = (type: Int, condition: string, d: LaneReg, a: LaneReg, b: LaneReg): string =>
  wide(type)
    ? `if (${condition}) { ${d.lo} = ${a.lo}; ${d.hi} = ${a.hi}; } else { ${d.lo} = ${b.lo}; ${d.hi} = ${b.hi}; }`
    : `${d.v} = ${condition} ? ${a.v} : ${b.v};`;

export const min = instruction<Typed>({
  name: 'min',
  kind: 'integer',
  ptx: ({ type }, [d], [a, b]) => `min.${type} ${d}, ${a}, ${b}`,
  lane: ({ type }, [d], [a, b]) => choose(type, less(type, a, b), d, a, b),
});

export const max = instruction<Typed>({
  name: 'max',
  kind: 'integer',
  ptx: ({ type }, [d], [a, b]) => `max.${type} ${d}, ${a}, ${b}`,
  lane: ({ type }, [d], [a, b]) => choose(type, less(type, b, a), d, a, b),
});

interface Signed {
  readonly type: 's32' | 's64';
}

export const neg = instruction<Signed>({
  name: 'neg',
  kind: 'integer',
  ptx: ({ type }, [d], [a]) => `neg.${type} ${d}, ${a}`,
  lane: ({ type }, [d], [a]) =>
    wide(type)
      ? `${d.lo} = -${a.lo} | 0; ${d.hi} = (~${a.hi} + (${a.lo} === 0 ? 1 : 0)) | 0;`
      : `${d.v} = -${a.v} | 0;`,
});

export const abs = instruction<Signed>({
  name: 'abs',
  kind: 'integer',
  ptx: ({ type }, [d], [a]) => `abs.${type} ${d}, ${a}`,
  lane: ({ type }, [d], [a]) =>
    wide(type)
      ? fromBig(d, `absBig(${toBig(type, a)})`)
      : `${d.v} = (${a.v} < 0 ? -${a.v} : ${a.v}) | 0;`,
});

/** Integer arithmetic beyond the methods of {@link Value}. */
export const integerOps = (body: Body) => ({
  /** a × b + c, low half. */
  mad<T extends Int>(a: Value<T>, b: Operand<T>, c: Operand<T>): Value<T> {
    const type = a.type;
    return body.one(madLo({ type }), type, [arg(type, a), arg(type, b), arg(type, c)]);
  },
  /** The high half of a × b. */
  mulHi<T extends Int>(a: Value<T>, b: Operand<T>): Value<T> {
    return body.one(mulHi({ type: a.type }), a.type, [arg(a.type, a), arg(a.type, b)]);
  },
  /** The full 64-bit product of two 32-bit integers. */
  mulWide<T extends Int32>(a: Value<T>, b: Operand<T>): Value<Widened<T>> {
    return body.one(mulWide({ type: a.type }), widened(a.type), [arg(a.type, a), arg(a.type, b)]);
  },
  /** The full 64-bit product of two 32-bit integers, plus a 64-bit one. */
  madWide<T extends Int32>(a: Value<T>, b: Operand<T>, c: Operand<Widened<T>>): Value<Widened<T>> {
    const type = widened(a.type);
    return body.one(madWide({ type: a.type }), type, [
      arg(a.type, a),
      arg(a.type, b),
      arg(type, c),
    ]);
  },
});

/** The 64-bit integer type of the same signedness. */
export type Widened<T extends Int32> = T extends 'u32' ? 'u64' : 's64';

/** Runtime form of {@link Widened}. */
export function widened<T extends Int32>(type: T): Widened<T> {
  const name: Int64 = type === 'u32' ? 'u64' : 's64';
  return name as Widened<T>;
}
