import type { KernelSource } from '../wgsl/kernel.ts';
import type { Command, CommandQueue } from './command-queue.ts';
import type { Capabilities } from './limits.ts';
import type { Memory, WebGpuBuffer } from './memory.ts';
import type { Pipelines } from './pipelines.ts';
import type { ByteRange } from './views.ts';

/** A copy of whole words between buffers. */
export interface Copy {
  readonly source: ByteRange;
  readonly target: GPUBuffer;
  readonly targetOffset: number;
}

/** One kernel launch. */
export interface Dispatch {
  /** What identifies the kernel; `source` writes it when it is new. */
  readonly name: string;
  readonly source: () => KernelSource;
  /** What `name` says in words, for those who print it. */
  readonly config?: object;
  readonly params: Readonly<Record<string, number>>;
  /** By name of the storage binding. */
  readonly storage: Readonly<Record<string, GPUBufferBinding>>;
  readonly workgroups: readonly [number, number, number];
  /** Copies that run before the kernel. */
  readonly copies?: readonly Copy[];
  /** f32 tensors of one element that replace a parameter, by its name. */
  readonly deviceParams?: Readonly<Record<string, ByteRange>>;
}

/** What operations launch on: a device, or what notes down what would run on one. */
export type LaunchTarget = Pick<Runtime, 'capabilities' | 'withScratch' | 'dispatch'> & {
  readonly queue: Pick<CommandQueue, 'enqueue'>;
};

/** A device with what launching on it takes. */
export class Runtime {
  readonly device: GPUDevice;
  readonly capabilities: Capabilities;
  readonly memory: Memory;
  readonly queue: CommandQueue;
  readonly pipelines: Pipelines;
  #captured: WebGpuBuffer[] | undefined;

  constructor(
    device: GPUDevice,
    capabilities: Capabilities,
    memory: Memory,
    queue: CommandQueue,
    pipelines: Pipelines,
  ) {
    this.device = device;
    this.capabilities = capabilities;
    this.memory = memory;
    this.queue = queue;
    this.pipelines = pipelines;
  }

  /**
   * Memory for what `enqueue` enqueues. It serves the next call as soon as this returns, since that
   * runs later; a graph keeps it.
   */
  withScratch(byteLength: number, enqueue: (scratch: WebGpuBuffer) => void): void {
    const scratch = this.memory.allocate(byteLength);
    try {
      enqueue(scratch);
    } finally {
      if (this.#captured) this.#captured.push(scratch);
      else this.release(scratch);
    }
  }

  release(buffer: WebGpuBuffer): void {
    this.memory.release(buffer, (part) => {
      this.queue.enqueue({
        record: (recorder) => {
          recorder.submit();
          part.destroy();
        },
      });
    });
  }

  /** Records commands, and keeps the scratch memory that they use. */
  capture(enqueue: () => void): { commands: readonly Command[]; scratch: WebGpuBuffer[] } {
    const scratch: WebGpuBuffer[] = [];
    this.#captured = scratch;
    try {
      return { commands: this.queue.capture(enqueue), scratch };
    } catch (error) {
      this.#captured = undefined;
      for (const buffer of scratch) this.release(buffer);
      throw error;
    } finally {
      this.#captured = undefined;
    }
  }

  dispatch(dispatch: Dispatch): void {
    const kernel = this.pipelines.get(dispatch.name, dispatch.source);
    const params = kernel.source.params.encode(dispatch.params);
    let group: GPUBindGroup | undefined;
    this.queue.enqueue({
      ready: () => (kernel.pipeline ? undefined : kernel.ready),
      record: (recorder) => {
        const offset = recorder.stage(params);
        for (const { source, target, targetOffset } of dispatch.copies ?? []) {
          copyRange(recorder.encoder(), source, target, targetOffset);
        }
        for (const [name, source] of Object.entries(dispatch.deviceParams ?? {})) {
          const field = offset + kernel.source.params.offsetOf(name);
          copyRange(recorder.encoder(), source, recorder.params, field);
        }
        group ??= this.device.createBindGroup({
          layout: kernel.layout,
          entries: [
            {
              binding: 0,
              resource: { buffer: recorder.params, size: kernel.source.params.byteLength },
            },
            ...kernel.source.storage.map(({ name }, i) => ({
              binding: i + 1,
              resource: dispatch.storage[name] as GPUBufferBinding,
            })),
          ],
        });
        const pass = recorder.pass();
        pass.setPipeline(kernel.pipeline as GPUComputePipeline);
        pass.setBindGroup(0, group, [offset]);
        pass.dispatchWorkgroups(...dispatch.workgroups);
      },
    });
  }
}

/** Copies a range of whole words, wherever its parts are. */
export function copyRange(
  encoder: GPUCommandEncoder,
  { buffer, begin, end }: ByteRange,
  target: GPUBuffer,
  targetOffset: number,
): void {
  for (let from = begin; from < end; ) {
    const index = Math.floor(from / buffer.partBytes);
    const stop = Math.min(end, (index + 1) * buffer.partBytes);
    encoder.copyBufferToBuffer(
      buffer.parts[index] as GPUBuffer,
      from - index * buffer.partBytes,
      target,
      targetOffset + from - begin,
      stop - from,
    );
    from = stop;
  }
}

/** A grid of `count` workgroups for kernels that number theirs as x + y · (workgroups along x). */
export function flatGrid(count: number, most: number): [number, number, number] {
  if (count <= most) return [count, 1, 1];
  const rows = Math.ceil(count / most);
  return [Math.ceil(count / rows), rows, 1];
}
