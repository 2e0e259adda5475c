import type { DType, StorageOf, TypedArray } from './dtype.ts';
import { dtypeSize, storageFromBytes } from './dtype.ts';
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
  if (source instanceof BigInt64Array) {
    for (let i = 0; i < out.length; i++) out[i] = Number(source[i]);
  } else if (decode) {
    for (let i = 0; i < out.length; i++) out[i] = decode(Number(source[i]));
  } else {
    out.set(source as Float32Array);
  }
  return out;
}

/**
 * Numbers → stored elements. Floats round to nearest even, e4m3 saturates at ±448, integers truncate
 * toward zero and saturate at the dtype's range (NaN → 0).
 */
export function encodeElements<D extends DType>(
  dtype: D,
  values: ArrayLike<number | bigint>,
): StorageOf<D> {
  const size = dtypeSize(dtype);
  const out = storageFromBytes(dtype, new Uint8Array(values.length * size)) as TypedArray;
  const encode = encoders[dtype];
  if (out instanceof BigInt64Array) {
    for (let i = 0; i < out.length; i++) out[i] = toBigInt(values[i] ?? 0);
  } else if (encode) {
    for (let i = 0; i < out.length; i++) out[i] = encode(Number(values[i]));
  } else if (dtype === 'f32') {
    for (let i = 0; i < out.length; i++) out[i] = Number(values[i]);
  } else {
    const [low, high] = dtype === 'u8' ? [0, 255] : [-(2 ** 31), 2 ** 31 - 1];
    for (let i = 0; i < out.length; i++) {
      const value = Number(values[i]);
      out[i] = Number.isNaN(value) ? 0 : Math.min(high, Math.max(low, Math.trunc(value)));
    }
  }
  return out as StorageOf<D>;
}

const lowest = -(2n ** 63n);
const highest = 2n ** 63n - 1n;

function toBigInt(value: number | bigint): bigint {
  if (Number.isNaN(value)) return 0n;
  if (value <= lowest) return lowest;
  if (value >= highest) return highest;
  return typeof value === 'bigint' ? value : BigInt(Math.trunc(value));
}
