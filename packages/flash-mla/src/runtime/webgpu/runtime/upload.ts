import { copyBytes } from '../launch/buffers.ts';
import type { WebGpuBuffer } from './memory.ts';
import type { Runtime } from './runtime.ts';

/**
 * Enqueues a copy of host bytes to any place of a buffer. `late`: they are read when the copy runs, so
 * that each replay of a graph reads them; else they may change as soon as this returns.
 */
export function upload(
  runtime: Runtime,
  buffer: WebGpuBuffer,
  byteOffset: number,
  bytes: Uint8Array,
  late = false,
): void {
  const end = byteOffset + bytes.byteLength;
  // The last word of an allocation is its own, so bytes after its end may be overwritten.
  const wholeWords = byteOffset % 4 === 0 && (end % 4 === 0 || end === buffer.byteLength);
  if (wholeWords) {
    writeWords(runtime, buffer, byteOffset, bytes, late);
    return;
  }
  runtime.withScratch(bytes.byteLength, (scratch) => {
    writeWords(runtime, scratch, 0, bytes, late);
    const source = { buffer: scratch, begin: 0, end: bytes.byteLength };
    copyBytes(runtime, source, { buffer, begin: byteOffset, end });
  });
}

function writeWords(
  runtime: Runtime,
  { parts, partBytes }: WebGpuBuffer,
  byteOffset: number,
  bytes: Uint8Array,
  late: boolean,
): void {
  // Now if nothing is ahead of it; else later, from a copy. Dawn in Node reads memory that is shared
  // between threads as if it were not, and the process ends.
  const now = runtime.queue.isIdle;
  const length = Math.ceil(bytes.byteLength / 4) * 4;
  const isWhole = length === bytes.byteLength && !isShared(bytes.buffer);
  const copied = () => {
    const copy = new Uint8Array(length);
    copy.set(bytes);
    return copy;
  };
  const early = late ? undefined : now && isWhole ? bytes : copied();
  const write = () => {
    const source = early ?? (isWhole ? bytes : copied());
    for (let done = 0; done < length; ) {
      const index = Math.floor((byteOffset + done) / partBytes);
      const stop = Math.min(length, (index + 1) * partBytes - byteOffset);
      const part = parts[index] as GPUBuffer;
      const offset = byteOffset + done - index * partBytes;
      runtime.device.queue.writeBuffer(
        part,
        offset,
        source as Uint8Array<ArrayBuffer>,
        done,
        stop - done,
      );
      done = stop;
    }
  };
  if (now) {
    write();
    return;
  }
  runtime.queue.enqueue({
    record: (recorder) => {
      recorder.submit();
      write();
    },
  });
}

/** Also of another realm. */
function isShared(buffer: ArrayBufferLike): boolean {
  return Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]';
}
