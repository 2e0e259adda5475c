import { KernelCompileError } from '@flash-mla/core';
import type { KernelSource } from '../wgsl/kernel.ts';

/** A kernel on its way to the device, or there. */
export interface Pipeline {
  readonly source: KernelSource;
  readonly layout: GPUBindGroupLayout;
  /** Set once `ready` has resolved. */
  pipeline: GPUComputePipeline | undefined;
  /** Rejects with {@link KernelCompileError}. */
  readonly ready: Promise<void>;
}

/** Compiles kernels without blocking and keeps them, by name. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #cache = new Map<string, Pipeline>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Kernels that were asked for so far. */
  get names(): readonly string[] {
    return [...this.#cache.keys()];
  }

  /** The kernel of this name; `source` is called when it is new. */
  get(name: string, source: () => KernelSource): Pipeline {
    const cached = this.#cache.get(name);
    if (cached) return cached;
    const kernel = source();
    const layout = this.#device.createBindGroupLayout({
      label: name,
      entries: [
        {
          binding: 0,
          visibility: compute,
          buffer: {
            type: 'uniform',
            hasDynamicOffset: true,
            minBindingSize: kernel.params.byteLength,
          },
        },
        ...kernel.storage.map(({ access }, i) => ({
          binding: i + 1,
          visibility: compute,
          buffer: {
            type: access === 'read' ? ('read-only-storage' as const) : ('storage' as const),
          },
        })),
      ],
    });
    const made: Pipeline = {
      source: kernel,
      layout,
      pipeline: undefined,
      ready: this.#compile(kernel, layout).then((pipeline) => {
        made.pipeline = pipeline;
      }),
    };
    made.ready.catch(() => undefined); // Those who wait for it hear of it.
    this.#cache.set(name, made);
    return made;
  }

  async #compile(
    { name, wgsl }: KernelSource,
    layout: GPUBindGroupLayout,
  ): Promise<GPUComputePipeline> {
    const device = this.#device;
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: name, code: wgsl });
    const invalid = device.popErrorScope();
    try {
      return await device.createComputePipelineAsync({
        label: name,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main' },
      });
    } catch (error) {
      const { messages } = await module.getCompilationInfo();
      const log = messages
        .filter(({ type }) => type === 'error')
        .map((message) => describe(message, wgsl));
      const reason =
        (await invalid)?.message ?? (error instanceof Error ? error.message : `${error}`);
      throw new KernelCompileError(name, log.length > 0 ? log.join('\n') : reason);
    }
  }
}

const compute = 4; // GPUShaderStage.COMPUTE

/** A compiler message with the line of WGSL that it is about. */
function describe({ lineNum, linePos, message }: GPUCompilationMessage, wgsl: string): string {
  const line = wgsl.split('\n')[lineNum - 1];
  return line === undefined ? message : `line ${lineNum}:${linePos}: ${message}\n  ${line.trim()}`;
}
