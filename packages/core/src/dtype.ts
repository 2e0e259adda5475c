/** Element types of tensors. `e4m3` is OCP FP8 E4M3 (no infinities), `e8m0` a power-of-two scale. */
export type DType = 'f32' | 'f16' | 'bf16' | 'e4m3' | 'e8m0' | 'u8' | 'i32' | 'i64';

/** Every element type, in documentation order. */
export const dtypes: readonly DType[] = [
  'f32',
  'f16',
  'bf16',
  'e4m3',
  'e8m0',
  'u8',
  'i32',
  'i64',
] as const;

const sizes: Readonly<Record<DType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  e4m3: 1,
  e8m0: 1,
  u8: 1,
  i32: 4,
  i64: 8,
};

/** Bytes of one element. */
export function dtypeSize(dtype: DType): number {
  return sizes[dtype];
}

/** Whether a value is the name of an element type. */
export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(sizes, value);
}

/** Typed arrays that hold elements: floating types of 16 and 8 bits travel as their bit codes. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** The typed array that holds one element per entry: bit codes for f16, bf16, e4m3 and e8m0. */
export type StorageOf<D extends DType> = D extends 'f32'
  ? Float32Array
  : D extends 'f16' | 'bf16'
    ? Uint16Array
    : D extends 'i32'
      ? Int32Array
      : D extends 'i64'
        ? BigInt64Array
        : Uint8Array;

const nameOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined;

/**
 * `'Uint16Array'` and the like for a typed array, also one of another realm (an iframe, a `vm` context, a
 * test runner's), for which `instanceof` says no. Undefined for anything else.
 */
export function typedArrayName(value: unknown): string | undefined {
  return nameOf.call(value);
}

const storageNames: Readonly<Record<DType, string>> = {
  f32: 'Float32Array',
  f16: 'Uint16Array',
  bf16: 'Uint16Array',
  e4m3: 'Uint8Array',
  e8m0: 'Uint8Array',
  u8: 'Uint8Array',
  i32: 'Int32Array',
  i64: 'BigInt64Array',
};

/** Whether a value is the typed array that {@link StorageOf} names for a dtype. */
export function isStorageOf<D extends DType>(dtype: D, value: unknown): value is StorageOf<D> {
  return typedArrayName(value) === storageNames[dtype];
}

/** Views bytes as the storage array of a dtype; copies only when the bytes are not aligned for it. */
export function storageFromBytes<D extends DType>(dtype: D, bytes: Uint8Array): StorageOf<D> {
  const size = dtypeSize(dtype);
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = aligned;
  const length = Math.floor(aligned.byteLength / size);
  switch (dtype as DType) {
    case 'f32':
      return new Float32Array(buffer, byteOffset, length) as StorageOf<D>;
    case 'f16':
    case 'bf16':
      return new Uint16Array(buffer, byteOffset, length) as StorageOf<D>;
    case 'i32':
      return new Int32Array(buffer, byteOffset, length) as StorageOf<D>;
    case 'i64':
      return new BigInt64Array(buffer, byteOffset, length) as StorageOf<D>;
    default:
      return new Uint8Array(buffer, byteOffset, length) as StorageOf<D>;
  }
}
