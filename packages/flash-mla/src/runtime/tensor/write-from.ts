import { describeValue, dtypeSize, InvalidArgumentError } from '@flash-mla/core';
import type { Stream, StreamEvent } from '../device/stream.ts';
import { PinnedBuffer } from './pinned-buffer.ts';
import type { Tensor, TensorHost } from './tensor.ts';

/** Bytes that are read by range into memory of the reader's, such as a part of a file. */
export interface ByteReader {
  readonly byteLength: number;
  /** Fills `target` with the bytes from `begin` on. Rejects where they are not there. */
  readInto(target: Uint8Array, begin: number): Promise<void>;
}

/** Bytes on their way at once: one piece is read while the one before is copied. */
const pieceBytes = 2 ** 24;
/** Buffers that a device keeps for the next tensor. */
const keptBuffers = 4;

const free = new WeakMap<TensorHost, PinnedBuffer[]>();

/**
 * Writes all bytes of a reader to a contiguous tensor of as many, by way of pinned buffers: they are
 * never in the heap. Resolves once they are on the device.
 */
export async function writeFrom(tensor: Tensor, reader: ByteReader, stream: Stream): Promise<void> {
  const { device } = tensor;
  const byteLength = checkReader(tensor, reader);
  const pieces: { readonly buffer: PinnedBuffer; copied: StreamEvent | undefined }[] = [];
  const count = Math.min(2, Math.ceil(byteLength / pieceBytes));
  try {
    for (let i = 0; i < count; i++) pieces.push({ buffer: take(device), copied: undefined });
    for (let at = 0, i = 0; at < byteLength; at += pieceBytes, i++) {
      const piece = pieces[i % count] as (typeof pieces)[number];
      const length = Math.min(pieceBytes, byteLength - at);
      await piece.copied?.synchronize();
      await reader.readInto(piece.buffer.bytes.subarray(0, length), at);
      const ranges = [{ targetOffset: at, byteLength: length }];
      device.copy(piece.buffer, tensor, { ranges, stream });
      piece.copied = stream.record();
    }
    for (const { copied } of pieces) await copied?.synchronize();
  } catch (error) {
    // Copies may be under way: these buffers go back to the device in their time.
    for (const { buffer } of pieces) buffer.dispose();
    throw error;
  }
  for (const { buffer } of pieces) give(device, buffer);
}

function checkReader(tensor: Tensor, reader: ByteReader): number {
  if (typeof reader?.readInto !== 'function') {
    throw new InvalidArgumentError(
      'source',
      'something with readInto(target, begin), such as file.reader(name)',
      describeValue(reader),
    );
  }
  const expected = tensor.size * dtypeSize(tensor.dtype);
  if (!tensor.isContiguous || reader.byteLength !== expected) {
    throw new InvalidArgumentError(
      'source',
      `${expected} bytes for a contiguous tensor`,
      `${reader.byteLength} bytes${tensor.isContiguous ? '' : ' for a strided tensor'}`,
    );
  }
  return expected;
}

function take(device: TensorHost): PinnedBuffer {
  return free.get(device)?.pop() ?? new PinnedBuffer(device, pieceBytes);
}

function give(device: TensorHost, buffer: PinnedBuffer): void {
  const list = free.get(device) ?? [];
  free.set(device, list);
  if (list.length < keptBuffers) list.push(buffer);
  else if (!device.closed) buffer.dispose();
}
