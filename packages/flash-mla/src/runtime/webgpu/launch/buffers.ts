import { InvalidArgumentError } from '@flash-mla/core';
import { copyBytesKernel, copyBytesName } from '../kernels/copy-bytes.ts';
import type { WebGpuBuffer } from '../runtime/memory.ts';
import { copyRange, flatGrid, type LaunchTarget } from '../runtime/runtime.ts';
import { type BoundRange, type ByteRange, bindRange } from '../runtime/views.ts';

/** A binding of a scratch buffer, which has one part. */
export function wholeBuffer({ parts }: WebGpuBuffer): GPUBufferBinding {
  const [buffer] = parts;
  if (buffer === undefined || parts.length > 1) {
    throw new RangeError(`a scratch buffer of ${parts.length} parts`);
  }
  return { buffer, offset: 0, size: buffer.size };
}

/**
 * Binds a range that a kernel reads. One that lies across two buffers is copied into one first, so
 * that only ranges larger than a binding are refused. So is one that `shares` its memory with what the
 * kernel writes: WebGPU binds no buffer for both.
 */
export function withInput(
  runtime: LaunchTarget,
  name: string,
  range: ByteRange,
  enqueue: (bound: BoundRange) => void,
  shares = false,
): void {
  const bound = shares ? undefined : bindRange(range, runtime.capabilities);
  if (bound) {
    enqueue(bound);
    return;
  }
  checkSize(runtime, name, range);
  const begin = Math.floor(range.begin / 4) * 4;
  const end = Math.min(Math.ceil(range.end / 4) * 4, sizeOf(range.buffer));
  runtime.withScratch(end - begin, (scratch) => {
    const resource = wholeBuffer(scratch);
    runtime.queue.enqueue({
      record: (recorder) => {
        copyRange(recorder.encoder(), { buffer: range.buffer, begin, end }, resource.buffer, 0);
      },
    });
    enqueue({ resource, firstByte: range.begin - begin });
  });
}

/**
 * Binds a range that a kernel writes in whole words. One that lies across two buffers, or does not
 * begin at a word, is written elsewhere and then moved. `gaps`: the kernel does not write all of it.
 */
export function withOutput(
  runtime: LaunchTarget,
  name: string,
  range: ByteRange,
  enqueue: (bound: BoundRange) => void,
  gaps = false,
): void {
  const bound = range.begin % 4 === 0 ? bindRange(range, runtime.capabilities) : undefined;
  if (bound) {
    enqueue(bound);
    return;
  }
  checkSize(runtime, name, range);
  runtime.withScratch(range.end - range.begin, (scratch) => {
    const moved = { buffer: scratch, begin: 0, end: range.end - range.begin };
    if (gaps) copyBytes(runtime, range, moved);
    enqueue({ resource: wholeBuffer(scratch), firstByte: 0 });
    copyBytes(runtime, moved, range);
  });
}

function checkSize({ capabilities }: LaunchTarget, name: string, { begin, end }: ByteRange): void {
  // The offset of a binding is rounded down, and its size up.
  const room = capabilities.bindingBytes - 2 * capabilities.offsetAlignment;
  if (end - begin <= room) return;
  throw new InvalidArgumentError(
    name,
    `at most ${room} bytes on this adapter`,
    `${end - begin}`,
    'Split the call, e.g. by batch.',
  );
}

function sizeOf({ parts, partBytes }: WebGpuBuffer): number {
  return (parts.length - 1) * partBytes + (parts.at(-1)?.size ?? 0);
}

/** The most that one launch copies: a binding holds that much on every adapter. */
const copiedBytes = 2 ** 26;

/** Copies a range of any length to another that it does not overlap. */
export function copyRanges(runtime: LaunchTarget, source: ByteRange, target: ByteRange): void {
  const length = target.end - target.begin;
  // A kernel cannot read and write one buffer: by way of another then.
  const isShared = source.buffer === target.buffer;
  for (let done = 0; done < length; done += copiedBytes) {
    const stop = Math.min(length, done + copiedBytes);
    const [from, to] = [subrange(source, done, stop), subrange(target, done, stop)];
    if (!isShared) copyBytes(runtime, from, to);
    else {
      runtime.withScratch(stop - done, (scratch) => {
        const between = { buffer: scratch, begin: 0, end: stop - done };
        copyBytes(runtime, from, between);
        copyBytes(runtime, between, to);
      });
    }
  }
}

/** Copies a range of one buffer to any range of the same length, byte by byte where need be. */
export function copyBytes(runtime: LaunchTarget, source: ByteRange, target: ByteRange): void {
  const length = target.end - target.begin;
  for (let done = 0; done < length; ) {
    // As far as both reach inside one buffer.
    const stop = Math.min(done + reach(source, done), done + reach(target, done), length);
    const from = bindRange(subrange(source, done, stop), runtime.capabilities);
    const to = bindRange(subrange(target, done, stop), runtime.capabilities);
    if (!from || !to) throw new RangeError('a copy of more bytes than a binding holds');
    runtime.dispatch({
      name: copyBytesName,
      source: copyBytesKernel,
      params: { source: from.firstByte, first: to.firstByte, count: stop - done },
      storage: { sourceWords: from.resource, targetWords: to.resource },
      workgroups: flatGrid(
        Math.ceil((stop - done + 3) / 256),
        runtime.capabilities.workgroupsPerDimension,
      ),
    });
    done = stop;
  }
}

/** Bytes from `done` on that lie in the same buffer. */
function reach({ buffer, begin }: ByteRange, done: number): number {
  return buffer.partBytes - ((begin + done) % buffer.partBytes);
}

function subrange({ buffer, begin }: ByteRange, from: number, to: number): ByteRange {
  return { buffer, begin: begin + from, end: begin + to };
}
