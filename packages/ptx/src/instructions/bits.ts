import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { Int, Int32 } from '../ir/types.ts';

interface Width {
  readonly bits: 'pred' | 'b32' | 'b64';
}

const bitwise = (name: 'and' | 'or' | 'xor', symbol: '&' | '|' | '^') =>
  instruction<Width>({
    name,
    kind: 'integer',
    ptx: ({ bits }, [d], [a, b]) => `${name}.${bits} ${d}, ${a}, ${b}`,
    lane: ({ bits }, [d], [a, b]) =>
      bits === 'b64'
        ? `${d.lo} = ${a.lo} ${symbol} ${b.lo}; ${d.hi} = ${a.hi} ${symbol} ${b.hi};`
        : `${d.v} = ${a.v} ${symbol} ${b.v};`,
  });

export const and = bitwise('and', '&');
export const or = bitwise('or', '|');
export const xor = bitwise('xor', '^');

export const not = instruction<Width>({
  name: 'not',
  kind: 'integer',
  ptx: ({ bits }, [d], [a]) => `not.${bits} ${d}, ${a}`,
  lane: ({ bits }, [d], [a]) =>
    bits === 'b64'
      ? `${d.lo} = ~${a.lo}; ${d.hi} = ~${a.hi};`
      : bits === 'pred'
        ? `${d.v} = ${a.v} ^ 1;`
        : `${d.v} = ~${a.v};`,
});

/** Shifting by the width or more gives 0. */
export const shl = instruction<{ readonly bits: 'b32' | 'b64' }>({
  name: 'shl',
  kind: 'integer',
  ptx: ({ bits }, [d], [a, n]) => `shl.${bits} ${d}, ${a}, ${n}`,
  lane: ({ bits }, [d], [a, n]) =>
    bits === 'b64'
      ? `{ const n = ${n.v} >>> 0, lo = ${a.lo}, hi = ${a.hi}; ${d.hi} = n > 63 ? 0 : n > 31 ? lo << (n - 32) : n === 0 ? hi : (hi << n) | (lo >>> (32 - n)); ${d.lo} = n > 31 ? 0 : lo << n; }`
      : `${d.v} = (${n.v} >>> 0) > 31 ? 0 : ${a.v} << ${n.v};`,
});

/** Unsigned types fill with 0, signed ones with the sign, also beyond the width. */
export const shr = instruction<{ readonly type: Int | 'b32' | 'b64' }>({
  name: 'shr',
  kind: 'integer',
  ptx: ({ type }, [d], [a, n]) => `shr.${type} ${d}, ${a}, ${n}`,
  lane: ({ type }, [d], [a, n]) => {
    if (type === 's32') return `${d.v} = ${a.v} >> ((${n.v} >>> 0) > 31 ? 31 : ${n.v});`;
    if (type === 'u32' || type === 'b32') {
      return `${d.v} = (${n.v} >>> 0) > 31 ? 0 : (${a.v} >>> ${n.v}) | 0;`;
    }
    const fill = type === 's64' ? 'hi >> 31' : '0';
    const high = type === 's64' ? '>>' : '>>>';
    return `{ const n = ${n.v} >>> 0, lo = ${a.lo}, hi = ${a.hi}; ${d.lo} = (n > 63 ? ${fill} : n > 31 ? hi ${high} (n - 32) : n === 0 ? lo : (lo >>> n) | (hi << (32 - n))) | 0; ${d.hi} = (n > 31 ? ${fill} : hi ${high} n) | 0; }`;
  },
});

/** 64 bits `hi:lo` shifted by n, one half kept: left keeps the high, right the low one. */
export const shf = instruction<{ readonly direction: 'l' | 'r'; readonly mode: 'wrap' | 'clamp' }>({
  name: 'shf',
  kind: 'integer',
  ptx: ({ direction, mode }, [d], [lo, hi, n]) =>
    `shf.${direction}.${mode}.b32 ${d}, ${lo}, ${hi}, ${n}`,
  lane: ({ direction, mode }, [d], [lo, hi, n]) => {
    const count = mode === 'wrap' ? `${n.v} & 31` : `Math.min(${n.v} >>> 0, 32)`;
    const value =
      direction === 'l'
        ? `n === 0 ? ${hi.v} : n === 32 ? ${lo.v} : (${hi.v} << n) | (${lo.v} >>> (32 - n))`
        : `n === 0 ? ${lo.v} : n === 32 ? ${hi.v} : (${hi.v} << (32 - n)) | (${lo.v} >>> n)`;
    return `{ const n = ${count}; ${d.v} = ${value}; }`;
  },
});

/** `length` bits of `a` from `position` up, zero- or sign-extended by the type. */
export const bfe = instruction<{ readonly type: Int32 }>({
  name: 'bfe',
  kind: 'integer',
  ptx: ({ type }, [d], [a, position, length]) => `bfe.${type} ${d}, ${a}, ${position}, ${length}`,
  lane: ({ type }, [d], [a, position, length]) =>
    `${d.v} = ${type === 'u32' ? 'bfeU' : 'bfeS'}(${a.v}, ${position.v}, ${length.v});`,
});

/** `b` with `length` bits from `position` up replaced by the low bits of `a`. */
export const bfi = instruction({
  name: 'bfi',
  kind: 'integer',
  ptx: (_, [d], [a, b, position, length]) => `bfi.b32 ${d}, ${a}, ${b}, ${position}, ${length}`,
  lane: (_, [d], [a, b, position, length]) =>
    `${d.v} = bfi(${a.v}, ${b.v}, ${position.v}, ${length.v});`,
});

const unary = (name: 'popc' | 'clz' | 'brev', expression: (a: string) => string) =>
  instruction({
    name,
    kind: 'integer',
    ptx: (_, [d], [a]) => `${name}.b32 ${d}, ${a}`,
    lane: (_, [d], [a]) => `${d.v} = ${expression(a.v)};`,
  });

export const popc = unary('popc', (a) => `popcount(${a})`);
export const clz = unary('clz', (a) => `Math.clz32(${a})`);
export const brev = unary('brev', (a) => `reverseBits(${a})`);

/** Byte i of the result is the byte of `b:a` that nibble i of the selector names. */
export const prmt = instruction({
  name: 'prmt',
  kind: 'integer',
  ptx: (_, [d], [a, b, selector]) => `prmt.b32 ${d}, ${a}, ${b}, ${selector}`,
  lane: (_, [d], [a, b, selector]) => `${d.v} = prmt(${a.v}, ${b.v}, ${selector.v});`,
});

/** Any function of three bits: bit (a·4 + b·2 + c) of `table` is the result. */
export const lop3 = instruction<{ readonly table: number }>({
  name: 'lop3',
  kind: 'integer',
  check: ({ table }) =>
    Number.isInteger(table) && table >= 0 && table <= 255
      ? undefined
      : `the truth table must be an integer from 0 to 255, not ${table}`,
  ptx: ({ table }, [d], [a, b, c]) =>
    `lop3.b32 ${d}, ${a}, ${b}, ${c}, 0x${table.toString(16).padStart(2, '0')}`,
  lane: ({ table }, [d], [a, b, c]) => `${d.v} = lop3(${a.v}, ${b.v}, ${c.v}, ${table});`,
});

/** A 32-bit value of any integer or bit type. */
type Word = Int32 | 'b32';

/** Bit manipulation beyond the methods of {@link Value}. */
export const bitOps = (body: Body) => ({
  /** The bits [position, position + length) of `a`, extended by its sign if it is `s32`. */
  bfe<T extends Int32>(a: Value<T>, position: Operand<'u32'>, length: Operand<'u32'>): Value<T> {
    return body.one(bfe({ type: a.type }), a.type, [
      arg(a.type, a),
      arg('u32', position),
      arg('u32', length),
    ]);
  },
  /** `into` with its bits [position, position + length) replaced by the low bits of `field`. */
  bfi<T extends Word>(
    field: Operand<T>,
    into: Value<T>,
    position: Operand<'u32'>,
    length: Operand<'u32'>,
  ): Value<T> {
    return body.one(bfi({}), into.type, [
      arg('b32', field),
      arg('b32', into),
      arg('u32', position),
      arg('u32', length),
    ]);
  },
  /** How many bits are set. */
  popc(a: Value<Word>): Value<'u32'> {
    return body.one(popc({}), 'u32', [arg('b32', a)]);
  },
  /** How many zero bits precede the highest set one; 32 for zero. */
  clz(a: Value<Word>): Value<'u32'> {
    return body.one(clz({}), 'u32', [arg('b32', a)]);
  },
  /** The bits in reverse order. */
  brev<T extends Word>(a: Value<T>): Value<T> {
    return body.one(brev({}), a.type, [arg('b32', a)]);
  },
  /**
   * Picks four bytes out of the eight of `b:a` (a's bytes are 0–3). Nibble i of `selector` names
   * the source of byte i; its top bit replicates that byte's sign instead.
   */
  prmt(
    a: Value<'b32' | Int32>,
    b: Operand<'b32' | Int32>,
    selector: Operand<'u32' | 'b32'>,
  ): Value<'b32'> {
    return body.one(prmt({}), 'b32', [arg('b32', a), arg('b32', b), arg('b32', selector)]);
  },
  /** Any bitwise function of three inputs; apply it to 0xf0, 0xcc and 0xaa to get `table`. */
  lop3<T extends Word>(a: Value<T>, b: Operand<T>, c: Operand<T>, table: number): Value<T> {
    return body.one(lop3({ table }), a.type, [arg('b32', a), arg('b32', b), arg('b32', c)]);
  },
  /** The high word of `hi:lo` shifted left by n (mod 32). */
  funnelLeft<T extends Word>(lo: Value<T>, hi: Value<T>, n: Operand<'u32'>): Value<T> {
    return body.one(shf({ direction: 'l', mode: 'wrap' }), lo.type, [
      arg('b32', lo),
      arg('b32', hi),
      arg('u32', n),
    ]);
  },
  /** The low word of `hi:lo` shifted right by n (mod 32). */
  funnelRight<T extends Word>(lo: Value<T>, hi: Value<T>, n: Operand<'u32'>): Value<T> {
    return body.one(shf({ direction: 'r', mode: 'wrap' }), lo.type, [
      arg('b32', lo),
      arg('b32', hi),
      arg('u32', n),
    ]);
  },
});
