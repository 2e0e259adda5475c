import { dtypeSize, InvalidArgumentError } from '@flash-mla/core';
import type { TensorView } from '../../tensor/view.ts';
import type { Capabilities } from './limits.ts';
import type { WebGpuBuffer } from './memory.ts';

/** A range of bytes of an allocation. */
export interface ByteRange {
  readonly buffer: WebGpuBuffer;
  readonly begin: number;
  readonly end: number;
}

/** What a bind group takes, and where the first wanted byte is inside it. */
export interface BoundRange {
  readonly resource: GPUBufferBinding;
  readonly firstByte: number;
}

/** The bytes between the first and the last element of a view, of one element at least. */
export function rangeOf(view: TensorView): ByteRange {
  const { shape, strides, byteOffset, dtype } = view;
  const reach = (sum: number, n: number, i: number) => sum + (n - 1) * (strides[i] ?? 0);
  const last = shape.includes(0) ? 0 : shape.reduce(reach, 0);
  return {
    buffer: view.buffer as WebGpuBuffer,
    begin: byteOffset,
    end: byteOffset + (last + 1) * dtypeSize(dtype),
  };
}

/** Stride of a dimension; 0 where there is nothing to step to, so that it never disturbs alignment. */
export function strideOf(view: TensorView, dimension: number): number {
  return (view.shape[dimension] ?? 1) > 1 ? (view.strides[dimension] ?? 0) : 0;
}

/** One binding that covers a range, or undefined where it takes several. */
export function bindRange(
  { buffer, begin, end }: ByteRange,
  capabilities: Capabilities,
): BoundRange | undefined {
  const index = Math.floor(begin / buffer.partBytes);
  const part = buffer.parts[index];
  const localEnd = end - index * buffer.partBytes;
  if (part === undefined || localEnd > part.size) return undefined;
  const local = begin - index * buffer.partBytes;
  const offset = Math.floor(local / capabilities.offsetAlignment) * capabilities.offsetAlignment;
  const size = Math.min(part.size, Math.ceil(localEnd / 16) * 16) - offset;
  if (size > capabilities.bindingBytes) return undefined;
  return { resource: { buffer: part, offset, size }, firstByte: local - offset };
}

/** {@link bindRange}, or an error that says how much fits. */
export function bindWhole(name: string, range: ByteRange, capabilities: Capabilities): BoundRange {
  const bound = bindRange(range, capabilities);
  if (bound) return bound;
  throw new InvalidArgumentError(
    name,
    `at most ${capabilities.bindingBytes} bytes on this adapter`,
    `${range.end - range.begin}`,
    'Split the call, e.g. by batch.',
  );
}

/** Rows spread over several bindings that stand one after the other in one address space. */
export interface RowWindows {
  readonly resources: GPUBufferBinding[];
  /** Bytes before the end of each binding, counted from the first. */
  readonly ends: number[];
  /** Where each range begins in that address space, in bytes. */
  readonly starts: number[];
}

/** Binds ranges of any size, each in as many bindings as it takes. */
export function bindRows(ranges: readonly ByteRange[], capabilities: Capabilities): RowWindows {
  const { bindingBytes } = capabilities;
  const windows: RowWindows = { resources: [], ends: [], starts: [] };
  let before = 0;
  for (const { buffer, begin, end } of ranges) {
    const first = Math.floor(begin / bindingBytes);
    windows.starts.push(before + begin - first * bindingBytes);
    for (let from = first * bindingBytes; from < end; from += bindingBytes) {
      const index = Math.floor(from / buffer.partBytes);
      const part = buffer.parts[index] as GPUBuffer;
      const offset = from - index * buffer.partBytes;
      const size = Math.min(bindingBytes, part.size - offset);
      windows.resources.push({ buffer: part, offset, size });
      before += size;
      windows.ends.push(before);
    }
  }
  return windows;
}

/** The largest of 16, 4 and 1 that divides all byte counts. */
export function alignmentOf(byteCounts: readonly number[]): 1 | 4 | 16 {
  if (byteCounts.every((n) => n % 16 === 0)) return 16;
  return byteCounts.every((n) => n % 4 === 0) ? 4 : 1;
}
