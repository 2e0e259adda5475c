import { DeclarationError } from '../errors.ts';
import { bytesOf, type MemType } from '../ir/types.ts';
import { type Swizzle, swizzleRule } from './swizzle.ts';

/** Size of an encoded tensor map; it is aligned to 64 bytes. */
export const tensorMapBytes = 128;

/** Elements that tensor maps know; e4m3 and other bytes are `u8` to the hardware. */
export type TensorElement = Extract<
  MemType,
  'u8' | 'e4m3' | 'u16' | 'b16' | 'f16' | 'bf16' | 'u32' | 's32' | 'b32' | 'f32' | 'u64' | 's64'
>;

/**
 * A tensor in global memory and the box of it that one copy moves. Everything counts from the
 * innermost dimension outwards.
 */
export interface TensorMapDescription {
  readonly element: TensorElement;
  /** Aligned to 16 bytes. */
  readonly address: number | bigint;
  /** Elements per dimension, 1 to 5 dimensions. Coordinates outside are filled when loading, dropped when storing. */
  readonly dims: readonly number[];
  /** Bytes between neighbours of every dimension but the innermost: multiples of 16 below 2^40. */
  readonly strides: readonly number[];
  /** Elements of a box per dimension, up to 256; its rows are multiples of 16 bytes. */
  readonly box: readonly number[];
  /**
   * How 16-byte chunks of the box are permuted in shared memory; the rows of a box are then as wide as
   * the swizzle (narrower ones would lie that far apart, with gaps between them).
   */
  readonly swizzle?: Swizzle | 'none';
  /** Of how many elements one is taken, per dimension; 1 unless given. */
  readonly elementStrides?: readonly number[];
  /** Bytes that the second-level cache fetches together; `128B` unless given. */
  readonly l2Promotion?: 'none' | '64B' | '128B' | '256B';
  /** What elements outside of the tensor become: 0, or for floats a NaN (0x7ff7, twice in an f32). */
  readonly oobFill?: 'zero' | 'nan';
}

const isInteger = (low: number, high: number) => (n: number) =>
  Number.isInteger(n) && n >= low && n <= high;

/**
 * Holds a description against the hardware's rules, and the rows of swizzled boxes against ours.
 * @throws DeclarationError that names the rule and the value.
 */
export function checkTensorMap(map: TensorMapDescription): void {
  const { element, address, dims, strides, box, swizzle = 'none', elementStrides, oobFill } = map;
  const fail = (problem: string): never => {
    throw new DeclarationError(`tensor map: ${problem}`);
  };
  const size = bytesOf(element);
  const rank = dims.length;
  const list = (values: readonly number[]) => `[${values.join(', ')}]`;
  if (rank < 1 || rank > 5) fail(`a tensor has 1 to 5 dimensions, not ${rank}`);
  if (BigInt(address) % 16n !== 0n) fail(`the address must be a multiple of 16, got ${address}`);
  if (!dims.every(isInteger(1, 2 ** 32))) fail(`dims must be 1 to 2^32, got ${list(dims)}`);
  if (
    strides.length !== rank - 1 ||
    !strides.every((s) => s % 16 === 0 && isInteger(0, 2 ** 40 - 1)(s))
  ) {
    fail(`needs ${rank - 1} strides, multiples of 16 bytes below 2^40, got ${list(strides)}`);
  }
  if (box.length !== rank || !box.every(isInteger(1, 256))) {
    fail(`needs ${rank} box sizes from 1 to 256, got ${list(box)}`);
  }
  if (
    elementStrides !== undefined &&
    (elementStrides.length !== rank || !elementStrides.every(isInteger(1, 8)))
  ) {
    fail(`needs ${rank} element strides from 1 to 8, got ${list(elementStrides)}`);
  }
  const rowBytes = box[0] * size;
  if (rowBytes % 16 !== 0) fail(`the box's rows must be multiples of 16 bytes, got ${rowBytes}`);
  if (swizzle !== 'none' && rowBytes !== swizzleRule(swizzle).width) {
    fail(`the box's rows must be as wide as the ${swizzle} swizzle, got ${rowBytes} bytes`);
  }
  if (oobFill === 'nan' && !/f(16|32)$/.test(element))
    fail(`only floats can be filled with NaN, not ${element}`);
}

/** Bytes that one box occupies in shared memory, which are those its barrier counts. */
export function boxBytes({ element, box }: Pick<TensorMapDescription, 'element' | 'box'>): number {
  return box.reduce((product, n) => product * n, bytesOf(element));
}
