import { bytesOf, type MemType } from '../ir/types.ts';
import { toBf16, toF16 } from '../sim/numerics/float.ts';
import type { Data } from './case.ts';

/** A small generator of pseudo-random 32-bit patterns: the same sequence everywhere. */
export function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return t ^ (t >>> 14);
  };
}

/** Numbers as data of a type (16-bit floats are rounded). */
export function data<E extends MemType>(type: E, values: readonly (number | bigint)[]): Data<E> {
  const size = bytesOf(type);
  const bytes = new Uint8Array(values.length * size);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    if (type === 'f32') view.setFloat32(i * 4, Number(value), true);
    else if (type === 'f16') view.setUint16(i * 2, toF16(Number(value)), true);
    else if (type === 'bf16') view.setUint16(i * 2, toBf16(Number(value)), true);
    else if (size === 8) view.setBigUint64(i * 8, BigInt.asUintN(64, BigInt(value)), true);
    else if (size === 4) view.setUint32(i * 4, Number(value) >>> 0, true);
    else if (size === 2) view.setUint16(i * 2, Number(value), true);
    else view.setUint8(i, Number(value));
  });
  return { type, bytes };
}

/** The same bytes as another type. */
export function as<E extends MemType>(type: E, { bytes }: Data<MemType>): Data<E> {
  return { type, bytes };
}

/** Pseudo-random bits. */
export function random<E extends MemType>(type: E, count: number, seed: number): Data<E> {
  const next = generator(seed);
  const words = Int32Array.from({ length: Math.ceil((count * bytesOf(type)) / 4) }, () => next());
  return { type, bytes: new Uint8Array(words.buffer).slice(0, count * bytesOf(type)) };
}

/** Pseudo-random numbers between −scale and scale. */
export function uniform<E extends 'f32' | 'f16' | 'bf16'>(
  type: E,
  count: number,
  seed: number,
  scale = 1,
): Data<E> {
  const next = generator(seed);
  return data(
    type,
    Array.from({ length: count }, () => (next() / 2 ** 31) * scale),
  );
}

/** Pseudo-random numbers of all sizes between 2^low and 2^high, of either sign. */
export function wide<E extends 'f32' | 'f16' | 'bf16'>(
  type: E,
  count: number,
  seed: number,
  [low, high]: readonly [number, number],
): Data<E> {
  const next = generator(seed);
  return data(
    type,
    Array.from({ length: count }, () => {
      const exponent = low + ((next() >>> 8) / 2 ** 24) * (high - low);
      return Math.sign(next()) * 2 ** exponent;
    }),
  );
}

const edgeInts = [0, 1, 2, 3, 5, 31, 32, 33, 64, 255, 0x7fff, 0x12345678, 0x7ffffffe, 0x7fffffff];
/** Integers at the borders of their range, and some others. */
export const ints: readonly number[] = [
  ...edgeInts,
  ...edgeInts.slice(0, 9).map((n) => ~n),
  -2147483648,
  -2147483647,
  0x5a5a5a5a,
  -0x5a5a5a5b,
  1000003,
  -99991,
  -0x12345678,
  77,
  -78,
];

/** A choice of them, for pairs. */
export const fewInts: readonly number[] = ints.filter((_, i) => i % 2 === 0 || i > 22);

/** 64-bit integers at the borders of their range, and some others. */
export const longs: readonly bigint[] = [
  0n,
  1n,
  -1n,
  3n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  0x123456789abcdef0n,
  -0x123456789abcdefn,
  0x7fffffffffffffffn,
  -0x8000000000000000n,
  -0x100000000n,
  1000000007n,
  -77777777777n,
  0x5a5a5a5a5a5a5a5an,
];

/** f32 values at the borders of the format, and some others. */
export const floats: readonly number[] = [
  0,
  -0,
  1,
  -1,
  0.5,
  1.5,
  2.5,
  -2.5,
  3.5,
  1 / 3,
  -Math.PI,
  1e-3,
  448,
  464,
  465,
  -500,
  65504,
  65519,
  65520,
  1e5,
  -1e9,
  2147483520,
  2147483648,
  -2147483648,
  4294967040,
  4294967296,
  2 ** -6,
  2 ** -9,
  2 ** -10,
  2 ** -14,
  2 ** -24,
  2 ** -25,
  1.5 * 2 ** -25,
  2 ** -126,
  2 ** -127,
  2 ** -149,
  -(2 ** -149),
  1.17549421e-38,
  3.4028234663852886e38,
  -3.4028234663852886e38,
  1 + 2 ** -23,
  1 + 2 ** -8,
  1 + 2 ** -8 + 2 ** -23,
  1 + 3 * 2 ** -8,
  1 + 2 ** -11,
  1 + 3 * 2 ** -11,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
];

/** Every value with every value: two lists of equal length. */
export function pairs<T>(values: readonly T[]): [T[], T[]] {
  const first = values.flatMap((v) => values.map(() => v));
  const second = values.flatMap(() => values);
  return [first, [...second]];
}
