import { DisposedError, type DType, describeValue, InvalidArgumentError } from '@flash-mla/core';
import { Tensor, type TensorHost } from '../tensor/tensor.ts';

/**
 * Checks shared by the public operations. They run on every call, so nothing is allocated and no text
 * is built unless something is wrong.
 */

/** An argument that may be left out, as `None` may in Python. */
export type Optional<T> = T | null | undefined;

/** The names that an operation takes. */
export interface OptionNames {
  /** An object that has them all: the shape that options are read into. */
  readonly blank: Readonly<Record<string, undefined>>;
  readonly names: readonly string[];
}

export function optionNames<Name extends string>(...names: Name[]): OptionNames {
  return { blank: Object.fromEntries(names.map((name) => [name, undefined])), names };
}

/**
 * The options of a call, each read once, in an object that has every name the operation knows. Throws
 * for anything that is not an object and for other names.
 *
 * The copy is for speed: V8 gives each `{ ...common, more }` a hidden class of its own, so that every
 * access to a property would miss its cache, 0.2 µs each. Copies are all of one shape.
 */
export function readOptions<O extends object>(options: O, { blank, names }: OptionNames): O {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('options', 'an object of named arguments', show(options));
  }
  const isPlain = Object.getPrototypeOf(options) === Object.prototype;
  const read = { ...blank, ...(isPlain ? options : inherited(options)) };
  const given = Object.keys(read);
  if (given.length === names.length) return read as O;
  throw new InvalidArgumentError(
    given.find((name) => !names.includes(name)) ?? 'options',
    `no argument of this name`,
    'one',
    `Known are ${names.join(', ')}.`,
  );
}

/** Own and inherited properties. */
function inherited(options: object): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const name in options) read[name] = (options as Record<string, unknown>)[name];
  return read;
}

/** A tensor with the given rank on a device that is open. Dtype and extents are for the caller. */
export function checkTensor(name: string, value: unknown, rank: number): asserts value is Tensor {
  if (!Tensor.isTensor(value)) {
    const remedy = 'Make one with device.tensor() or device.empty().';
    throw new InvalidArgumentError(name, `a tensor of ${rank} dimensions`, show(value), remedy);
  }
  if (value.disposed) throw new DisposedError(`${name}: ${value.dtype} tensor (${value.shape})`);
  if (value.shape.length !== rank) {
    throw new InvalidArgumentError(name, `${rank} dimensions`, shapeText(value));
  }
}

/** {@link checkTensor}, and on this device, and with this dtype. */
export function checkOperand(
  name: string,
  value: unknown,
  rank: number,
  dtype: DType,
  device: TensorHost,
): asserts value is Tensor {
  checkTensor(name, value, rank);
  if (value.device !== device) {
    throw new InvalidArgumentError(
      name,
      `a tensor on device '${device.id}' like the first one`,
      `one on another device, '${value.device.id}'`,
    );
  }
  if (value.dtype !== dtype) throw new InvalidArgumentError(name, `dtype ${dtype}`, value.dtype);
}

/**
 * An i32 or f32 tensor whose extents are known. `labels` names them for the message, e.g.
 * `(b, maxBlocks)`. The innermost dimension must be contiguous.
 */
export function checkVector(
  name: string,
  value: unknown,
  dtype: DType,
  device: TensorHost,
  length: number,
  label: string,
): asserts value is Tensor {
  checkOperand(name, value, 1, dtype, device);
  if (value.shape[0] !== length) {
    throw new InvalidArgumentError(name, `shape (${label}) = (${length})`, shapeText(value));
  }
  checkInnerStride(name, value);
}

/** {@link checkVector}, unless it is left out. */
export function checkOptionalVector(
  name: string,
  value: unknown,
  dtype: DType,
  device: TensorHost,
  length: number,
  label: string,
): void {
  if (value === undefined || value === null) return;
  checkVector(name, value, dtype, device, length, label);
}

/** Elements of a row lie one after the other. Outer strides may be anything. */
export function checkInnerStride(name: string, tensor: Tensor): void {
  const last = tensor.shape.length - 1;
  if (tensor.strides[last] === 1 || (tensor.shape[last] ?? 0) < 2) return;
  throw new InvalidArgumentError(
    name,
    'rows whose elements are contiguous (last stride 1)',
    `strides (${tensor.strides.join(', ')})`,
    'Copy it into a contiguous tensor.',
  );
}

/** One extent of a tensor. `label` names it, e.g. `hKv`. */
export function checkExtent(
  name: string,
  tensor: Tensor,
  dimension: number,
  expected: number,
  label: string,
): void {
  if (tensor.shape[dimension] === expected) return;
  throw new InvalidArgumentError(
    `${name}.shape[${dimension}]`,
    `${label} = ${expected}`,
    shapeText(tensor),
  );
}

/** Every extent at least one, from dimension `from` on. */
export function checkNotEmpty(name: string, tensor: Tensor, from = 0): void {
  for (let i = from; i < tensor.shape.length; i++) {
    if (tensor.shape[i] === 0) {
      throw new InvalidArgumentError(`${name}.shape[${i}]`, 'at least 1', shapeText(tensor));
    }
  }
}

/** Query heads share KV heads evenly. */
export function checkHeads(hQ: number, hKv: number, kvName: string): void {
  if (hQ % hKv === 0) return;
  throw new InvalidArgumentError(
    `${kvName}`,
    `a number of KV heads that divides the ${hQ} query heads`,
    `${hKv}`,
  );
}

export function checkInteger(name: string, value: unknown, low: number, high: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) {
    return value;
  }
  throw new InvalidArgumentError(name, `an integer from ${low} to ${high}`, show(value));
}

/** A flag that defaults to `fallback`. */
export function checkFlag(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined || value === null) return fallback;
  if (typeof value === 'boolean') return value;
  throw new InvalidArgumentError(name, 'true or false', show(value));
}

/** The normal numbers of float32. Kernels compute with these; devices may count what is less as 0. */
const leastScale = 2 ** -126;
const mostScale = (2 - 2 ** -23) * 2 ** 127;

/** Softmax scale: a positive number that is a normal float32; by default 1/√dQk. */
export function checkScale(name: string, value: unknown, headDimQk: number): number {
  if (value === undefined || value === null) return 1 / Math.sqrt(headDimQk);
  if (typeof value === 'number' && value >= leastScale && value <= mostScale) return value;
  throw new InvalidArgumentError(name, 'a number from 2^-126 to 3.4e38', show(value));
}

/** Refuses an argument that the chosen mode has no use for. */
export function checkAbsent(name: string, value: unknown, why: string): void {
  if (value === undefined || value === null) return;
  throw new InvalidArgumentError(name, `no ${name}`, show(value), why);
}

/** {@link describeValue}, for tensors too. */
export function show(value: unknown): string {
  if (Tensor.isTensor(value)) return `${value.dtype} tensor (${value.shape.join(', ')})`;
  return describeValue(value);
}

export function shapeText(tensor: Tensor): string {
  return `shape (${tensor.shape.join(', ')})`;
}

/** No two elements in the same place, so that all can be written. */
export function checkDisjoint(name: string, tensor: Tensor): void {
  const { shape, strides } = tensor;
  const dimensions = strides
    .map((stride, i) => ({ stride, extent: shape[i] as number }))
    .filter(({ extent }) => extent > 1)
    .sort((a, b) => a.stride - b.stride);
  let span = 1;
  for (const { stride, extent } of dimensions) {
    if (stride < span) {
      throw new InvalidArgumentError(
        `${name}.strides`,
        'rows that do not overlap',
        `strides (${strides.join(', ')}) of ${shapeText(tensor)}`,
      );
    }
    span += stride * (extent - 1);
  }
}
