/** Checks of tensors that the public operations share, beyond those of `arguments.ts`. */

import { type DType, dtypeSize, InvalidArgumentError } from '@flash-mla/core';
import { Tensor, type TensorHost } from '../tensor/tensor.ts';
import type { TensorView } from '../tensor/view.ts';
import {
  checkDisjoint,
  checkInnerStride,
  checkOperand,
  checkTensor,
  type Optional,
  shapeText,
  show,
} from './arguments.ts';

/** The most rows and columns of a matrix: kernels count elements of a row in 32 bits. */
export const maxExtent = 2 ** 31 - 1;

/** A tensor of one of some dtypes, on a device (absent: on any), whose rows are contiguous. */
export function checkMatrix<D extends DType>(
  name: string,
  value: unknown,
  rank: number,
  dtypes: readonly D[],
  device?: TensorHost,
): asserts value is Tensor<D> {
  checkTensor(name, value, rank);
  if (!(dtypes as readonly DType[]).includes(value.dtype)) {
    throw new InvalidArgumentError(name, `dtype ${dtypes.join(' or ')}`, value.dtype);
  }
  checkOperand(name, value, rank, value.dtype, device ?? value.device);
  checkInnerStride(name, value);
  for (const n of value.shape) {
    if (n > maxExtent) {
      throw new InvalidArgumentError(name, `extents of at most ${maxExtent}`, shapeText(value));
    }
  }
}

/** The exact shape of a tensor. */
export function checkShape(
  name: string,
  tensor: Tensor,
  shape: readonly number[],
  label: string,
): void {
  if (tensor.shape.every((n, i) => n === shape[i])) return;
  throw new InvalidArgumentError(name, `shape ${label} = (${shape.join(', ')})`, shapeText(tensor));
}

/** One of some words; `fallback` where it is left out. */
export function checkChoice<T extends string>(
  name: string,
  value: Optional<unknown>,
  choices: readonly T[],
  fallback: T,
): T {
  if (value === undefined || value === null) return fallback;
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  const expected = choices.map((choice) => `'${choice}'`).join(' or ');
  throw new InvalidArgumentError(name, expected, show(value));
}

/** A finite number from `low` to `high`. */
export function checkNumber(name: string, value: unknown, low: number, high: number): number {
  if (typeof value === 'number' && value >= low && value <= high) return value;
  throw new InvalidArgumentError(name, `a number from ${low} to ${high}`, show(value));
}

/**
 * Checks a caller's output, whose rows may be apart but not overlap, or allocates a contiguous one.
 * `owned` collects what is allocated here.
 */
export function takeOutput<D extends DType>(
  name: string,
  given: unknown,
  shape: readonly number[],
  dtype: D,
  device: TensorHost,
  owned: Tensor[],
): Tensor<D> {
  if (given === undefined || given === null) {
    const tensor = Tensor.allocate(device, shape, dtype);
    owned.push(tensor);
    return tensor;
  }
  checkMatrix(name, given, shape.length, [dtype], device);
  checkShape(name, given, shape, 'of the result');
  checkDisjoint(name, given);
  return given;
}

/** No byte of what is written may be a byte of what else the call reads or writes. */
export function checkApart(
  name: string,
  written: Tensor,
  others: Readonly<Record<string, Tensor | undefined>>,
): void {
  for (const [other, tensor] of Object.entries(others)) {
    if (tensor === undefined || tensor.size === 0 || written.size === 0) continue;
    if (tensor.buffer !== written.buffer) continue;
    if (interleaved(written, tensor)) continue;
    const [begin, end] = spanOf(written);
    const [otherBegin, otherEnd] = spanOf(tensor);
    if (otherEnd <= begin || end <= otherBegin) continue;
    throw new InvalidArgumentError(
      name,
      `memory that does not overlap that of ${other}`,
      `bytes ${begin} to ${end} against ${otherBegin} to ${otherEnd}`,
    );
  }
}

/** Columns of the same wider rows, such as two parts of the output of one product. */
function interleaved(a: TensorView, b: TensorView): boolean {
  if (a.shape.length !== 2 || b.shape.length !== 2) return false;
  const stride = (a.strides[0] ?? 0) * dtypeSize(a.dtype);
  if (stride === 0 || stride !== (b.strides[0] ?? 0) * dtypeSize(b.dtype)) return false;
  const widthOf = (view: TensorView) => (view.shape[1] ?? 0) * dtypeSize(view.dtype);
  const [columnA, columnB] = [a.byteOffset % stride, b.byteOffset % stride];
  const fits = columnA + widthOf(a) <= stride && columnB + widthOf(b) <= stride;
  return fits && (columnA + widthOf(a) <= columnB || columnB + widthOf(b) <= columnA);
}

function spanOf({ shape, strides, byteOffset, dtype }: TensorView): [number, number] {
  const last = shape.reduce((sum, n, i) => sum + (n - 1) * (strides[i] ?? 0), 0);
  return [byteOffset, byteOffset + (last + 1) * dtypeSize(dtype)];
}

/** A tensor's elements under other extents and strides, unchecked, for an operation's arguments. */
export function viewOf(
  { buffer, byteOffset, dtype }: TensorView,
  shape: readonly number[],
  strides: readonly number[],
): TensorView {
  return { buffer, byteOffset, dtype, shape, strides };
}

/** {@link takeOutput} for an output that must be contiguous. */
export function takeContiguous<D extends DType>(
  name: string,
  given: unknown,
  shape: readonly number[],
  dtype: D,
  device: TensorHost,
  owned: Tensor[],
): Tensor<D> {
  const tensor = takeOutput(name, given, shape, dtype, device, owned);
  checkContiguous(name, tensor);
  return tensor;
}

export function checkContiguous(name: string, tensor: Tensor): void {
  if (tensor.isContiguous) return;
  const strides = `strides (${tensor.strides.join(', ')})`;
  throw new InvalidArgumentError(name, 'a contiguous tensor', strides);
}
