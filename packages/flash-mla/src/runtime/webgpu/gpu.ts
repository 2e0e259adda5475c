import { BackendUnavailableError } from '@flash-mla/core';
import { findDawn } from '#platform';

/** A WebGPU implementation and how it was found. */
interface FoundGpu {
  readonly gpu: GPU;
  readonly looked: readonly string[];
  readonly remedy: string;
}

/**
 * Workgroup memory is cleared by a loop: SwiftShader takes seconds to compile what the extension that
 * Dawn prefers makes of 30 KB. Timestamps are not rounded to 0.1 ms; that protects web pages.
 */
const dawnOptions = [
  'disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension,timestamp_quantization',
];

/** One instance for the process: adapters of different ones do not know each other. */
let dawn: ReturnType<typeof findDawn> | undefined;

/** The page's or runtime's own WebGPU, or Dawn's in Node. */
async function findGpu(): Promise<FoundGpu> {
  const own = globalThis.navigator?.gpu;
  if (own) {
    const remedy = 'Update the browser or the graphics driver; its page about the GPU says more.';
    return { gpu: own, looked: ['navigator.gpu: present'], remedy };
  }
  dawn ??= findDawn(dawnOptions);
  const { gpu, looked, remedy, cause } = await dawn;
  const all = ['navigator.gpu: absent', ...looked];
  if (gpu) return { gpu, looked: all, remedy };
  dawn = undefined; // What was missing may be there the next time.
  throw new BackendUnavailableError('webgpu', 'there is no WebGPU here', all, remedy, cause);
}

/** The adapter of the fastest GPU. Throws {@link BackendUnavailableError}. */
export async function requestAdapter(): Promise<GPUAdapter> {
  const { gpu, looked, remedy } = await findGpu();
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter) return adapter;
  const all = [...looked, "requestAdapter({ powerPreference: 'high-performance' }): none"];
  throw new BackendUnavailableError('webgpu', 'there is no adapter', all, remedy);
}
