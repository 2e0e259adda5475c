import { bytesOf } from '../ir/types.ts';
import { type SwizzleRule, swizzleRule } from '../layout/swizzle.ts';
import {
  checkTensorMap,
  type TensorElement,
  type TensorMapDescription,
  tensorMapBytes,
} from '../layout/tensor-map.ts';

const magic = 0x50414d54;
const elements: readonly TensorElement[] = [
  'u8',
  'e4m3',
  'u16',
  'b16',
  'f16',
  'bf16',
  'u32',
  's32',
  'b32',
  'f32',
  'u64',
  's64',
];
const swizzles = ['none', '32B', '64B', '128B'] as const;

// Where things lie in the simulator's own 128 bytes; the hardware's are a secret of the driver.
const place = { element: 4, rank: 5, swizzle: 6, nan: 7, address: 8, dims: 16, strides: 56 };
const after = { box: 88, elementStrides: 98 };

/**
 * A tensor map for the simulator, which interprets it; the driver makes those for a GPU.
 * @throws DeclarationError for a description that the hardware would refuse.
 */
export function encodeTensorMap(map: TensorMapDescription): Uint8Array<ArrayBuffer> {
  checkTensorMap(map);
  const bytes = new Uint8Array(tensorMapBytes);
  const view = new DataView(bytes.buffer);
  const { element, address, dims, strides, box, elementStrides, swizzle = 'none', oobFill } = map;
  view.setUint32(0, magic, true);
  view.setUint8(place.element, elements.indexOf(element));
  view.setUint8(place.rank, dims.length);
  view.setUint8(place.swizzle, swizzles.indexOf(swizzle));
  view.setUint8(place.nan, oobFill === 'nan' ? 1 : 0);
  view.setFloat64(place.address, Number(address), true);
  dims.forEach((n, i) => {
    // 2^32 is stored as 0.
    view.setUint32(place.dims + 4 * i, n % 2 ** 32, true);
    view.setUint16(after.box + 2 * i, box[i], true);
    view.setUint8(after.elementStrides + i, elementStrides?.[i] ?? 1);
  });
  strides.forEach((n, i) => {
    view.setFloat64(place.strides + 8 * i, n, true);
  });
  return bytes;
}

/** A tensor map as the simulated copy engine reads it. */
export interface DecodedMap {
  readonly element: TensorElement;
  readonly elementBytes: number;
  readonly rank: number;
  readonly address: number;
  readonly dims: readonly number[];
  /** Bytes between neighbours of each dimension, the innermost included. */
  readonly strides: readonly number[];
  readonly box: readonly number[];
  readonly elementStrides: readonly number[];
  readonly swizzle: SwizzleRule | undefined;
  readonly nan: boolean;
}

/** Reads what {@link encodeTensorMap} wrote; undefined for other bytes. */
export function decodeTensorMap(bytes: Uint8Array): DecodedMap | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== magic) return undefined;
  const element = elements[view.getUint8(place.element)];
  const rank = view.getUint8(place.rank);
  const swizzle = swizzles[view.getUint8(place.swizzle)];
  const each = <T>(read: (i: number) => T): T[] => Array.from({ length: rank }, (_, i) => read(i));
  const elementBytes = bytesOf(element);
  return {
    element,
    elementBytes,
    rank,
    address: view.getFloat64(place.address, true),
    dims: each((i) => view.getUint32(place.dims + 4 * i, true) || 2 ** 32),
    strides: each((i) =>
      i === 0 ? elementBytes : view.getFloat64(place.strides + 8 * (i - 1), true),
    ),
    box: each((i) => view.getUint16(after.box + 2 * i, true)),
    elementStrides: each((i) => view.getUint8(after.elementStrides + i)),
    swizzle: swizzle === 'none' ? undefined : swizzleRule(swizzle),
    nan: view.getUint8(place.nan) === 1,
  };
}
