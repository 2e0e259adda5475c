import { BackendUnavailableError } from '../../errors.ts';
import {
  adapterName,
  deviceDescriptor,
  deviceDetails,
  isSoftware,
  type Profile,
} from './adapter.ts';
import { targetWorkgroups } from './launch/schedule.ts';
import { keepsHalfSubnormals } from './probe-numbers.ts';
import { type Capabilities, capabilitiesOf } from './runtime/limits.ts';
import { WebGpuBackend } from './webgpu-backend.ts';

/**
 * Opens a device of an adapter. `adjust` lets tests be poorer than the device, to reach what only other
 * devices reach. Throws {@link BackendUnavailableError}.
 */
export async function openAdapter(
  adapter: GPUAdapter,
  profile: Profile,
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
  const capabilities = adjust(
    capabilitiesOf(device.limits, {
      quads: device.features.has('subgroups'),
      halfSubnormals: profile === 'adapter' && (await keepsHalfSubnormals(device)),
      software: isSoftware(adapter),
    }),
  );
  return new WebGpuBackend(
    device,
    {
      backend: 'webgpu',
      id: 'webgpu',
      name: adapterName(adapter),
      parallelism: targetWorkgroups(capabilities),
      details: deviceDetails(adapter, device, profile, capabilities),
    },
    capabilities,
    debug,
  );
}
