import {
  e8m0ToF32,
  type Ops,
  type Pointer,
  packPair,
  unpackF16x2,
  type Value,
} from '@flash-mla/ptx';
import type { SparseLayout } from './tile.ts';

/** Scales with which every e4m3 is exact enough in f16: 448 times the largest is in its range. */
const leastExponent = -14;
const largestExponent = 7;
const f32Bits = (exponent: number) => (exponent + 127) * 2 ** 23;

/** Multiplies two values, which are f16 now, by their scale. */
export type Multiplier = (pair: Value<'f16x2'>) => Value<'b32'>;

/** How the scales of a part of 128 columns are read and used; each fits a register. */
export interface ScaleFormat {
  /** Bytes of a part's. */
  readonly partBytes: 2 | 4;
  /** Reads the scale of a part, or those of its two halves. */
  load(scales: Pointer<'global', 'u8'>, part: number): Value<'b32'>;
  /** The same from copies of them in shared memory. */
  read(scales: Pointer<'shared', 'u8'>, part: number): Value<'b32'>;
  /** Whether one is out of the range in which f16 is exact enough. */
  isOutside(scale: Value<'b32'>, part: number): Value<'pred'>;
  /** How to multiply the lane's values: `chunk` of 16 in the part. */
  multiplier(scale: Value<'b32'>, chunk: Value<'u32'>, element: 'f16' | 'bf16'): Multiplier;
}

/** Read once; `nc`: nobody writes rows meanwhile. */
export const loadOptions = { nc: true, l1: 'none' } as const;

function f32Scales(k: Ops): ScaleFormat {
  return {
    partBytes: 4,
    read: (scales, part) =>
      scales
        .bytes(4 * part)
        .as('b32')
        .load(),
    load: (scales, part) =>
      scales
        .bytes(4 * part)
        .as('b32')
        .load(loadOptions),
    isOutside(scale) {
      const bits = scale.as('u32');
      const least = f32Bits(leastExponent);
      return bits
        .sub(least)
        .gt(f32Bits(largestExponent) - least)
        .and(bits.ne(0));
    },
    multiplier: (scale, _chunk, element) =>
      element === 'f16'
        ? inF16(k, packPair(k, 'f16', scale.as('f32'), scale.as('f32')))
        : inBf16(k, scale.as('f32')),
  };
}

/** Two e8m0 for the halves of a part; the last part's second half has none, but rope values. */
function e8m0Scales(k: Ops): ScaleFormat {
  const least = leastExponent + 127;
  const most = largestExponent + 127;
  const isOutside = (byte: Value<'u32'>) => byte.sub(least).gt(most - least);
  return {
    partBytes: 2,
    read: (scales, part) =>
      scales
        .bytes(2 * part)
        .as('u16')
        .load()
        .as('b32'),
    load: (scales, part) =>
      scales
        .bytes(2 * part)
        .as('u16')
        .load(loadOptions)
        .as('b32'),
    isOutside(scale, part) {
      const both = scale.as('u32');
      const first = isOutside(both.and(0xff));
      return part === 3 ? first : first.or(isOutside(both.shr(8)));
    },
    multiplier(scale, chunk, element) {
      const byte = scale.shr(chunk.and(4).shl(1)).and(0xff).as('u32');
      if (element === 'bf16') return inBf16(k, e8m0ToF32(k, byte));
      const half = byte
        .sub(127 - 15)
        .shl(10)
        .as('b32');
      return inF16(k, half.or(half.shl(16)).as('f16x2'));
    },
  };
}

const inF16 =
  (_k: Ops, both: Value<'f16x2'>): Multiplier =>
  (pair) =>
    pair.mul(both).as('b32');

const inBf16 =
  (k: Ops, scale: Value<'f32'>): Multiplier =>
  (pair) => {
    const [lo, hi] = unpackF16x2(k, pair);
    return packPair(k, 'bf16', lo.mul(scale), hi.mul(scale)).as('b32');
  };

export const scaleFormat = (k: Ops, layout: SparseLayout): ScaleFormat =>
  layout === 'v32' ? f32Scales(k) : e8m0Scales(k);
