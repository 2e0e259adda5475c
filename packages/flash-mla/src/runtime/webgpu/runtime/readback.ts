import type { Command, CommandQueue } from './command-queue.ts';
import { copyRange } from './runtime.ts';
import type { ByteRange } from './views.ts';

const usage = 0x01 | 0x08; // MAP_READ | COPY_DST
const mapRead = 1; // GPUMapMode.READ

/** Bytes of idle staging buffers that are kept. */
const keptBytes = 64 * 2 ** 20;
/** The largest piece that is read through one staging buffer. */
const pieceBytes = 32 * 2 ** 20;

/** Reads device memory through staging buffers that are mapped, copied and used again. */
export class Readback {
  readonly #device: GPUDevice;
  readonly #queue: CommandQueue;
  readonly #free = new Map<number, GPUBuffer[]>();
  #freeBytes = 0;
  /** Copies to host memory that have run and whose bytes have not arrived. */
  readonly #deliveries = new Set<Promise<void>>();

  constructor(device: GPUDevice, queue: CommandQueue) {
    this.#device = device;
    this.#queue = queue;
  }

  /** The bytes of a range as they are once all work enqueued so far is done. */
  async read({ buffer, begin, end }: ByteRange): Promise<Uint8Array<ArrayBuffer>> {
    const first = Math.floor(begin / 4) * 4;
    const last = Math.ceil(end / 4) * 4;
    const pieces: { staging: GPUBuffer; offset: number; size: number }[] = [];
    for (let from = first; from < last; from += pieceBytes) {
      const size = Math.min(pieceBytes, last - from);
      const staging = this.#take(size);
      pieces.push({ staging, offset: from - first, size });
      const range = { buffer, begin: from, end: from + size };
      this.#queue.enqueue({
        record: (recorder) => copyRange(recorder.encoder(), range, staging, 0),
      });
    }
    const bytes = new Uint8Array(last - first);
    try {
      await this.#queue.submitted();
      if (this.#queue.closed) throw this.#queue.closed;
      await Promise.all(
        pieces.map(async ({ staging, offset, size }) => {
          await staging.mapAsync(mapRead, 0, size);
          bytes.set(new Uint8Array(staging.getMappedRange(0, size)), offset);
          staging.unmap();
          this.#give(staging);
        }),
      );
    } catch (error) {
      // Why a buffer cannot be mapped is said where it happened: the device is lost, or out of memory.
      await this.#queue.check();
      throw error;
    }
    await this.#queue.check();
    return bytes.subarray(begin - first, end - first);
  }

  /** A command that copies a range to host memory. {@link arrived} tells when the bytes are there. */
  delivery({ buffer, begin, end }: ByteRange, target: Uint8Array): Command {
    const first = Math.floor(begin / 4) * 4;
    const last = Math.ceil(end / 4) * 4;
    return {
      record: (recorder) => {
        for (let from = first; from < last; from += pieceBytes) {
          const size = Math.min(pieceBytes, last - from);
          const staging = this.#take(size);
          const range = { buffer, begin: from, end: from + size };
          copyRange(recorder.encoder(), range, staging, 0);
          const [skip, stop] = [Math.max(begin, from), Math.min(end, from + size)];
          const delivery = this.#deliver(staging, size, (bytes) =>
            target.set(bytes.subarray(skip - from, stop - from), skip - begin),
          );
          this.#deliveries.add(delivery);
          void delivery.finally(() => this.#deliveries.delete(delivery));
        }
      },
    };
  }

  /** Resolves once the bytes of all copies to host memory that have run are there. */
  async arrived(): Promise<void> {
    await Promise.all(this.#deliveries);
  }

  /** Never rejects: whoever waits for the device learns what went wrong. */
  async #deliver(
    staging: GPUBuffer,
    size: number,
    take: (bytes: Uint8Array) => void,
  ): Promise<void> {
    try {
      await this.#queue.submitted();
      if (this.#queue.closed) return;
      await staging.mapAsync(mapRead, 0, size);
      take(new Uint8Array(staging.getMappedRange(0, size)));
      staging.unmap();
      this.#give(staging);
    } catch (error) {
      this.#queue.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #take(size: number): GPUBuffer {
    const whole = 2 ** Math.ceil(Math.log2(Math.max(256, size)));
    const free = this.#free.get(whole)?.pop();
    if (free) {
      this.#freeBytes -= whole;
      return free;
    }
    return this.#device.createBuffer({ size: whole, usage });
  }

  #give(buffer: GPUBuffer): void {
    if (this.#freeBytes + buffer.size > keptBytes) {
      buffer.destroy();
      return;
    }
    this.#freeBytes += buffer.size;
    const list = this.#free.get(buffer.size);
    if (list) list.push(buffer);
    else this.#free.set(buffer.size, [buffer]);
  }
}
