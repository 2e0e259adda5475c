import { BackendUnavailableError } from '@flash-mla/core';
import { adapterName, deviceDescriptor, deviceDetails, type Profile, tuningOf } from './adapter.ts';
import type { AnyWebGpuKernel } from './kernel.ts';
import { probeDevice } from './probe-device.ts';
import { type Capabilities, capabilitiesOf } from './runtime/limits.ts';
import { WebGpuBackend } from './webgpu-backend.ts';

/**
 * Opens a device of an adapter. `adjust` lets tests be poorer than the device, to reach what only other
 * devices reach. Throws {@link BackendUnavailableError}.
 */
export async function openAdapter(
  adapter: GPUAdapter,
  profile: Profile,
  kernels: readonly AnyWebGpuKernel[],
  debug = false,
  adjust: (capabilities: Capabilities) => Capabilities = (capabilities) => capabilities,
): Promise<WebGpuBackend> {
  const device = await adapter.requestDevice(deviceDescriptor(adapter, profile)).catch((cause) => {
    throw new BackendUnavailableError(
      'webgpu',
      `adapter ${adapterName(adapter)} gives no device`,
      [`requestDevice: ${cause instanceof Error ? cause.message : cause}`],
      'Close other programs that use the GPU, or restart the browser.',
      cause,
    );
  });
  // The default profile is to go through what the weakest device needs.
  const weakest = { quads: false, halfSubnormals: false };
  const facts = profile === 'default' ? weakest : await probeDevice(device);
  const tuning = tuningOf(adapter, profile);
  const capabilities = adjust(capabilitiesOf(device.limits, { ...facts, tuning }));
  return new WebGpuBackend(
    device,
    {
      backend: 'webgpu',
      id: 'webgpu',
      name: adapterName(adapter),
      parallelism: capabilities.tuning.workgroups,
      details: deviceDetails(adapter, profile, capabilities),
    },
    capabilities,
    kernels,
    debug,
  );
}
