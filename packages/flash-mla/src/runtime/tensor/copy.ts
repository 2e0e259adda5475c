import { describeValue, dtypeSize, InvalidArgumentError } from '@flash-mla/core';
import type { Backend, HostMemory } from '../device/backend.ts';
import type { StreamOptions } from '../device/stream.ts';
import { hostMemoryOf, PinnedBuffer } from './pinned-buffer.ts';
import { Tensor, type TensorHost } from './tensor.ts';
import type { DeviceBuffer } from './view.ts';

/** Bytes to copy, counted from the first of a contiguous tensor or of a pinned buffer. */
export interface CopyRange {
  /** 0 unless given. */
  readonly sourceOffset?: number | undefined;
  /** 0 unless given. */
  readonly targetOffset?: number | undefined;
  readonly byteLength: number;
}

/** Options of `device.copy`. */
export interface CopyOptions extends StreamOptions {
  /** Copied one after the other; everything unless given. */
  readonly ranges?: readonly CopyRange[] | undefined;
}

/** One side of a copy. */
type Place =
  | { readonly buffer: DeviceBuffer; readonly begin: number; readonly byteLength: number }
  | { readonly memory: HostMemory; readonly begin: 0; readonly byteLength: number };

interface CheckedRange {
  readonly from: number;
  readonly to: number;
  readonly byteLength: number;
}

/** Checks a copy and enqueues it. Enqueues nothing if anything is wrong. */
export function enqueueCopy(
  host: TensorHost,
  source: Tensor | PinnedBuffer,
  target: Tensor | PinnedBuffer,
  ranges: unknown,
): void {
  const from = placeOf('source', source, host);
  const to = placeOf('target', target, host);
  if ('memory' in from && 'memory' in to) {
    throw new InvalidArgumentError(
      'target',
      'a tensor where the source is host memory',
      'a pinned buffer',
      'target.bytes.set(source.bytes) copies on the host.',
    );
  }
  const checked = checkRanges(ranges, from, to);
  const { backend } = host;
  for (const range of checked) if (range.byteLength > 0) copyRange(backend, from, to, range);
}

function copyRange(backend: Backend, source: Place, target: Place, range: CheckedRange): void {
  const { byteLength } = range;
  const [from, to] = [source.begin + range.from, target.begin + range.to];
  if ('buffer' in source) {
    if ('buffer' in target) backend.copy(source.buffer, from, target.buffer, to, byteLength);
    else backend.copyToHost(source.buffer, from, target.memory, to, byteLength);
  } else if ('buffer' in target) {
    backend.copyFromHost(source.memory, from, target.buffer, to, byteLength);
  }
}

function placeOf(name: string, value: Tensor | PinnedBuffer, host: TensorHost): Place {
  const isTensor = Tensor.isTensor(value);
  if (!isTensor && !PinnedBuffer.isPinned(value)) {
    throw new InvalidArgumentError(name, 'a tensor or a pinned buffer', describeValue(value));
  }
  if (value.device !== host) {
    throw new InvalidArgumentError(
      name,
      `memory of device '${host.id}'`,
      `some of another device, '${value.device.id}'`,
    );
  }
  if (!isTensor) return { memory: hostMemoryOf(value), begin: 0, byteLength: value.byteLength };
  if (!value.isContiguous) {
    throw new InvalidArgumentError(name, 'a contiguous tensor', 'a strided one');
  }
  const byteLength = value.size * dtypeSize(value.dtype);
  return { buffer: value.buffer, begin: value.byteOffset, byteLength };
}

function checkRanges(ranges: unknown, source: Place, target: Place): readonly CheckedRange[] {
  if (ranges === undefined) {
    if (source.byteLength !== target.byteLength) {
      throw new InvalidArgumentError(
        'target',
        `${source.byteLength} bytes, as the source has`,
        `${target.byteLength}`,
        'Give ranges to copy a part.',
      );
    }
    const whole = { from: 0, to: 0, byteLength: source.byteLength };
    checkApart('target', whole, source, target);
    return [whole];
  }
  if (!Array.isArray(ranges)) {
    throw new InvalidArgumentError('ranges', 'an array of ranges', describeValue(ranges));
  }
  return ranges.map((range: Partial<CopyRange> | null | undefined, i) => {
    const name = `ranges[${i}]`;
    const byteLength = checkCount(`${name}.byteLength`, range?.byteLength);
    const from = checkCount(`${name}.sourceOffset`, range?.sourceOffset ?? 0);
    const to = checkCount(`${name}.targetOffset`, range?.targetOffset ?? 0);
    checkInside(`${name}.sourceOffset`, from, byteLength, source);
    checkInside(`${name}.targetOffset`, to, byteLength, target);
    const checked = { from, to, byteLength };
    checkApart(name, checked, source, target);
    return checked;
  });
}

function checkCount(name: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new InvalidArgumentError(name, 'a non-negative integer', describeValue(value));
}

function checkInside(name: string, offset: number, byteLength: number, place: Place): void {
  if (offset + byteLength <= place.byteLength) return;
  const end = `${offset} + ${byteLength}`;
  throw new InvalidArgumentError(name, `an end within ${place.byteLength} bytes`, end);
}

/** What is written must not be what is read: the order of bytes within a copy is nobody's. */
function checkApart(name: string, range: CheckedRange, source: Place, target: Place): void {
  const memoryOf = (place: Place) => ('buffer' in place ? place.buffer : place.memory);
  if (memoryOf(source) !== memoryOf(target)) return;
  const [from, to] = [source.begin + range.from, target.begin + range.to];
  if (from + range.byteLength <= to || to + range.byteLength <= from) return;
  if (range.byteLength === 0) return;
  throw new InvalidArgumentError(
    name,
    'source and target that do not overlap',
    `bytes ${from} and ${to} of the same memory, ${range.byteLength} of them`,
  );
}
