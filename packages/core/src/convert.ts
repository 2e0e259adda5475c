import type { DType, StorageOf, TypedArray } from './dtype.ts';
import { dtypeSize, storageFromBytes } from './dtype.ts';
import { describeValue, InvalidArgumentError } from './errors.ts';
import { decodeE4m3, decodeE8m0, encodeE4m3, encodeE8m0 } from './float8.ts';
import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from './float16.ts';

const decoders: Partial<Record<DType, (code: number) => number>> = {
  f16: decodeF16,
  bf16: decodeBf16,
  e4m3: decodeE4m3,
  e8m0: decodeE8m0,
};

const encoders: Partial<Record<DType, (value: number) => number>> = {
  f16: encodeF16,
  bf16: encodeBf16,
  e4m3: encodeE4m3,
  e8m0: encodeE8m0,
};

/** Stored elements → float32 values. Integers beyond 2^24 lose precision as float32 does. */
export function decodeElements<D extends DType>(dtype: D, data: StorageOf<D>): Float32Array {
  const source: TypedArray = data;
  const decode = decoders[dtype];
  const out = new Float32Array(source.length);
  if (dtype === 'i64') {
    for (let i = 0; i < out.length; i++) out[i] = Number(source[i]);
  } else if (decode) {
    for (let i = 0; i < out.length; i++) out[i] = decode(Number(source[i]));
  } else {
    out.set(source as Float32Array);
  }
  return out;
}

/**
 * Numbers → stored elements. Floats round to nearest even, e4m3 saturates at ±448. Throws
 * {@link InvalidArgumentError} where an integer dtype does not hold a number exactly.
 */
export function encodeElements<D extends DType>(
  dtype: D,
  values: ArrayLike<number | bigint>,
): StorageOf<D> {
  const kind: DType = dtype;
  const size = dtypeSize(dtype);
  const out = storageFromBytes(dtype, new Uint8Array(values.length * size)) as TypedArray;
  const encode = encoders[dtype];
  if (out instanceof BigInt64Array) {
    for (let i = 0; i < out.length; i++) out[i] = toBigInt(values[i], i);
  } else if (kind === 'i32' || kind === 'u8') {
    const [low, high] = ranges[kind];
    for (let i = 0; i < out.length; i++) {
      const value = Number(values[i]);
      if (!Number.isInteger(value) || value < low || value > high) {
        throw notHeld(kind, low, high, values[i], i);
      }
      out[i] = value;
    }
  } else if (encode) {
    for (let i = 0; i < out.length; i++) out[i] = encode(Number(values[i]));
  } else {
    for (let i = 0; i < out.length; i++) out[i] = Number(values[i]);
  }
  return out as StorageOf<D>;
}

const ranges = { u8: [0, 255], i32: [-(2 ** 31), 2 ** 31 - 1] } as const;
const lowest = -(2n ** 63n);
const highest = 2n ** 63n - 1n;

function toBigInt(value: number | bigint | undefined, index: number): bigint {
  if (typeof value === 'bigint' || Number.isInteger(value)) {
    const whole = BigInt(value as number | bigint);
    if (whole >= lowest && whole <= highest) return whole;
  }
  throw notHeld('i64', lowest, highest, value, index);
}

function notHeld(
  dtype: DType,
  low: number | bigint,
  high: number | bigint,
  value: unknown,
  index: number,
): InvalidArgumentError {
  const expected = `an integer from ${low} to ${high} for dtype ${dtype}`;
  return new InvalidArgumentError(`data[${index}]`, expected, describeValue(value));
}
