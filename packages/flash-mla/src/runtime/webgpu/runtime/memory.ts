import { OutOfMemoryError } from '@flash-mla/core';
import type { MemoryStats } from '../../device/backend.ts';
import type { DeviceBuffer } from '../../tensor/view.ts';
import type { Capabilities } from './limits.ts';

/** Device memory of one allocation: whole buffers of the largest size, then the rest. */
export interface WebGpuBuffer extends DeviceBuffer {
  readonly parts: readonly GPUBuffer[];
  /** Bytes of every part but the last. */
  readonly partBytes: number;
}

const usage = 0x80 | 0x08 | 0x04; // STORAGE | COPY_DST | COPY_SRC: the globals are not there in Node.

/**
 * The most that a device may hold, in bytes. WebGPU does not say how much memory there is, and tells only
 * later that there was none; no GPU has this much, so what is beyond is refused at once.
 */
export const mostBytes = 2 ** 39;

/** Free buffers are kept up to this many bytes, because making one means clearing it. */
const keptBytes = 256 * 2 ** 20;

/**
 * Allocates device memory. Work runs in the order of the calls, so that memory given back may serve the
 * next allocation at once.
 */
export class Memory {
  readonly #device: GPUDevice;
  readonly #id: string;
  readonly #partBytes: number;
  readonly #onError: (error: Error) => void;
  readonly #free = new Map<number, GPUBuffer[]>();
  /** Buffers that there was no memory for. */
  readonly #failed = new WeakSet<GPUBuffer>();
  #freeBytes = 0;
  #allocated = 0;
  #peak = 0;
  #reserved = 0;

  constructor(
    device: GPUDevice,
    id: string,
    capabilities: Capabilities,
    onError: (error: Error) => void,
  ) {
    this.#device = device;
    this.#id = id;
    this.#partBytes = capabilities.bufferBytes;
    this.#onError = onError;
  }

  /**
   * Throws {@link OutOfMemoryError} beyond {@link mostBytes}. WebGPU tells of memory that runs out before
   * that later: then the next `read` or `synchronize` rejects with that error.
   */
  allocate(byteLength: number): WebGpuBuffer {
    // A word of slack: the last word of an odd number of bytes is read and written whole.
    const size = Math.max(16, Math.ceil(byteLength / 16) * 16);
    if (this.#allocated + size > mostBytes) {
      const remedy = `Ask for less: a WebGPU device holds ${mostBytes / 2 ** 30} GiB at most here.`;
      throw new OutOfMemoryError(this.#id, byteLength, mostBytes - this.#allocated, remedy);
    }
    const parts: GPUBuffer[] = [];
    for (let begin = 0; begin < size; begin += this.#partBytes) {
      parts.push(this.#take(sizeClass(Math.min(size - begin, this.#partBytes), this.#partBytes)));
    }
    this.#allocated += byteLength;
    this.#peak = Math.max(this.#peak, this.#allocated);
    return { byteLength, parts, partBytes: this.#partBytes };
  }

  release(buffer: WebGpuBuffer, destroy: (buffer: GPUBuffer) => void): void {
    this.#allocated -= buffer.byteLength;
    for (const part of buffer.parts) {
      if (this.#failed.has(part) || this.#freeBytes + part.size > keptBytes) {
        this.#reserved -= part.size;
        destroy(part);
        continue;
      }
      this.#freeBytes += part.size;
      const list = this.#free.get(part.size);
      if (list) list.push(part);
      else this.#free.set(part.size, [part]);
    }
  }

  stats(): MemoryStats {
    return { allocated: this.#allocated, reserved: this.#reserved, peak: this.#peak };
  }

  #take(size: number): GPUBuffer {
    const free = this.#free.get(size)?.pop();
    if (free) {
      this.#freeBytes -= size;
      return free;
    }
    this.#device.pushErrorScope('out-of-memory');
    const buffer = this.#device.createBuffer({ size, usage });
    this.#device.popErrorScope().then(
      (error) => {
        if (!error) return;
        this.#failed.add(buffer);
        this.#forget(buffer);
        const remedy = 'Dispose of tensors that are no longer needed.';
        this.#onError(new OutOfMemoryError(this.#id, size, undefined, remedy));
      },
      () => undefined, // The device is gone: `lost` tells.
    );
    this.#reserved += size;
    return buffer;
  }

  /** Takes a buffer out of the free ones, if it got there already. */
  #forget(buffer: GPUBuffer): void {
    const list = this.#free.get(buffer.size);
    const index = list?.indexOf(buffer) ?? -1;
    if (index < 0) return;
    list?.splice(index, 1);
    this.#freeBytes -= buffer.size;
    this.#reserved -= buffer.size;
  }
}

/** Rounds up by at most an eighth, so that buffers of similar sizes can stand in for each other. */
function sizeClass(size: number, most: number): number {
  const step = Math.max(16, 2 ** (Math.floor(Math.log2(size)) - 3));
  return Math.min(most, Math.ceil(size / step) * step);
}
