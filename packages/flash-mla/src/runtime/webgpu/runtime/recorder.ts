/** Bytes of uniform parameters that one submission holds. */
const paramBytes = 64 * 1024;

/** Writes timestamps around what is recorded while it is set. */
export interface Timing {
  readonly querySet: GPUQuerySet;
  /** Pairs of queries used so far, and the most there are. */
  used: number;
  readonly most: number;
}

/**
 * Records commands into one submission. Parameters of all its kernels travel in one write that goes
 * ahead of it; the next submission may overwrite them, since the queue keeps the order.
 */
export class Recorder {
  readonly #device: GPUDevice;
  readonly #params: GPUBuffer;
  readonly #alignment: number;
  readonly #staged = new Uint8Array(paramBytes);
  #stagedBytes = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  timing: Timing | undefined;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#alignment = device.limits.minUniformBufferOffsetAlignment;
    this.#params = device.createBuffer({ size: paramBytes, usage: 0x40 | 0x08 }); // UNIFORM | COPY_DST
  }

  get params(): GPUBuffer {
    return this.#params;
  }

  get isEmpty(): boolean {
    return this.#encoder === undefined;
  }

  /** Places parameters and returns their offset in {@link params}. Submits first if there is no room. */
  stage(bytes: Uint8Array): number {
    if (this.#stagedBytes + bytes.byteLength > paramBytes) this.submit();
    const offset = this.#stagedBytes;
    this.#staged.set(bytes, offset);
    this.#stagedBytes = Math.ceil((offset + bytes.byteLength) / this.#alignment) * this.#alignment;
    return offset;
  }

  /** A compute pass; kernels share it until something else is recorded. */
  pass(): GPUComputePassEncoder {
    if (this.#pass) return this.#pass;
    const timing = this.timing;
    const timestampWrites =
      timing && timing.used < timing.most
        ? {
            querySet: timing.querySet,
            beginningOfPassWriteIndex: 2 * timing.used,
            endOfPassWriteIndex: 2 * timing.used++ + 1,
          }
        : undefined;
    this.#pass = this.#open().beginComputePass(timestampWrites ? { timestampWrites } : {});
    return this.#pass;
  }

  /** The encoder, outside of any pass. */
  encoder(): GPUCommandEncoder {
    this.#pass?.end();
    this.#pass = undefined;
    return this.#open();
  }

  submit(): void {
    if (!this.#encoder) return;
    const commands = this.encoder().finish();
    this.#encoder = undefined;
    if (this.#stagedBytes > 0) {
      const whole = Math.min(paramBytes, this.#stagedBytes);
      this.#device.queue.writeBuffer(this.#params, 0, this.#staged, 0, whole);
      this.#stagedBytes = 0;
    }
    this.#device.queue.submit([commands]);
  }

  #open(): GPUCommandEncoder {
    this.#encoder ??= this.#device.createCommandEncoder();
    return this.#encoder;
  }
}
