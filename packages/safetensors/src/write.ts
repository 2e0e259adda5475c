import { type DType, dtypeSize, InvalidArgumentError, isDType, numElements } from '@flash-mla/core';
import { writeFileChunks } from '#files';
import { fileDType } from './dtypes.ts';
import { maxHeaderBytes } from './header.ts';
import { shorten } from './header-reader.ts';

/** A tensor to write. */
export interface WritableTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** All elements in row-major order, or chunks of them that are asked for as the file grows. */
  readonly data:
    | ArrayBufferView
    | (() => Iterable<ArrayBufferView> | AsyncIterable<ArrayBufferView>);
}

interface Placed extends WritableTensor {
  readonly name: string;
  readonly byteLength: number;
}

/**
 * Writes a safetensors file by atomic rename; Node only. Tensors stream: memory stays at one chunk
 * whatever the size of the file. Throws {@link InvalidArgumentError} naming the tensor.
 *
 * @param tensors by name, in any order: wide dtypes come first in the file, so all are aligned.
 */
export function writeSafetensors(
  path: string | URL,
  tensors: Readonly<Record<string, WritableTensor>> | ReadonlyMap<string, WritableTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  return writeFileChunks(path, safetensorsChunks(tensors, metadata));
}

/** As {@link writeSafetensors}, into memory: for a browser's Blob, and for tests. */
export async function encodeSafetensors(
  tensors: Readonly<Record<string, WritableTensor>> | ReadonlyMap<string, WritableTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  const placed = place(tensors);
  const header = encodeHeader(placed, metadata);
  const size = placed.reduce((sum, { byteLength }) => sum + byteLength, header.byteLength);
  const file = new Uint8Array(size);
  let at = 0;
  for await (const chunk of chunksOf(header, placed)) {
    file.set(chunk, at);
    at += chunk.byteLength;
  }
  return file;
}

/** The file piece by piece, for any kind of stream. */
export function safetensorsChunks(
  tensors: Readonly<Record<string, WritableTensor>> | ReadonlyMap<string, WritableTensor>,
  metadata: Readonly<Record<string, string>> = {},
): AsyncGenerator<Uint8Array> {
  const placed = place(tensors);
  return chunksOf(encodeHeader(placed, metadata), placed);
}

async function* chunksOf(
  header: Uint8Array,
  tensors: readonly Placed[],
): AsyncGenerator<Uint8Array> {
  yield header;
  for (const { name, data, byteLength } of tensors) {
    let written = 0;
    for await (const view of typeof data === 'function' ? data() : [data]) {
      written += view.byteLength;
      if (written > byteLength) break;
      yield new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    }
    if (written !== byteLength) {
      const actual = written > byteLength ? 'more' : `${written}`;
      throw new InvalidArgumentError(
        `tensors.${shorten(name)}.data`,
        `${byteLength} bytes`,
        actual,
      );
    }
  }
}

function place(
  tensors: Readonly<Record<string, WritableTensor>> | ReadonlyMap<string, WritableTensor>,
): Placed[] {
  const named = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  const placed = named.map(([name, tensor]) => {
    checkTensor(name, tensor);
    const byteLength = numElements(tensor.shape) * dtypeSize(tensor.dtype);
    return { ...tensor, name, byteLength };
  });
  return placed.sort(
    (a, b) => dtypeSize(b.dtype) - dtypeSize(a.dtype) || (a.name < b.name ? -1 : 1),
  );
}

function checkTensor(name: string, tensor: WritableTensor): void {
  const field = `tensors.${shorten(name)}`;
  if (name === '__metadata__') throw new InvalidArgumentError(field, 'another name', 'this one');
  if (typeof tensor !== 'object' || tensor === null || !isDType(tensor.dtype)) {
    throw new InvalidArgumentError(`${field}.dtype`, 'a dtype name', `${tensor?.dtype}`);
  }
  const { shape, data, dtype } = tensor;
  const isShape = Array.isArray(shape) && shape.every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!isShape || numElements(shape) > Number.MAX_SAFE_INTEGER / 8) {
    const expected = 'an array of non-negative integers';
    throw new InvalidArgumentError(`${field}.shape`, expected, `${shape}`);
  }
  if (typeof data === 'function') return;
  const expected = numElements(shape) * dtypeSize(dtype);
  if (!ArrayBuffer.isView(data) || data.byteLength !== expected) {
    const actual = ArrayBuffer.isView(data) ? `${data.byteLength}` : typeof data;
    throw new InvalidArgumentError(`${field}.data`, `${expected} bytes`, actual);
  }
}

/** The 8 length bytes and the JSON, padded with spaces so that the data begin at a multiple of 8. */
function encodeHeader(
  tensors: readonly Placed[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) entries.push(['__metadata__', checkMetadata(metadata)]);
  let at = 0;
  for (const { name, dtype, shape, byteLength } of tensors) {
    entries.push([name, { dtype: fileDType(dtype), shape, data_offsets: [at, at + byteLength] }]);
    at += byteLength;
  }
  // Joined by hand: an object literal would treat a tensor called `__proto__` in its own way.
  const members = entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const length = Math.ceil(json.byteLength / 8) * 8;
  if (length > maxHeaderBytes) {
    const expected = `a header of at most ${maxHeaderBytes} bytes`;
    throw new InvalidArgumentError('tensors', expected, `${length}`);
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

function checkMetadata(metadata: Readonly<Record<string, string>>) {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') {
      throw new InvalidArgumentError(`metadata.${shorten(key)}`, 'a string', typeof value);
    }
  }
  return metadata;
}
