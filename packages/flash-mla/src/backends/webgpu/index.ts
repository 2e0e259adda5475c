/** The WebGPU backend: WGSL kernels through the browser's WebGPU, or Dawn's in Node. */

import { BackendUnavailableError } from '../../errors.ts';
import type { Backend } from '../backend.ts';
import type { BackendOptions, ProbedDevice } from '../registry.ts';
import {
  adapterDetails,
  adapterName,
  deviceDescriptor,
  deviceDetails,
  isSoftware,
  type Profile,
} from './adapter.ts';
import { requestAdapter } from './gpu.ts';
import { targetWorkgroups } from './launch/schedule.ts';
import { keepsHalfSubnormals } from './probe-numbers.ts';
import { capabilitiesOf } from './runtime/limits.ts';
import { WebGpuBackend } from './webgpu-backend.ts';

export async function probe(): Promise<readonly ProbedDevice[]> {
  const adapter = await requestAdapter();
  return [{ name: adapterName(adapter), details: adapterDetails(adapter) }];
}

export async function open(
  index: number,
  options: BackendOptions,
  isAutomatic: boolean,
): Promise<Backend> {
  if (index > 0) {
    throw new BackendUnavailableError(
      'webgpu',
      `there is no device ${index}`,
      ['WebGPU offers one adapter, the fastest'],
      "Open 'webgpu'.",
    );
  }
  const adapter = await requestAdapter();
  const software = isSoftware(adapter);
  if (software && isAutomatic) {
    throw new BackendUnavailableError(
      'webgpu',
      `its only adapter, ${adapterName(adapter)}, is software, which the CPU backend outruns`,
      [`adapter ${adapterName(adapter)}`],
      "Open 'webgpu' by name to use it all the same.",
    );
  }
  const profile: Profile = options.webgpuProfile ?? environmentProfile();
  const device = await adapter.requestDevice(deviceDescriptor(adapter, profile)).catch((cause) => {
    throw new BackendUnavailableError(
      'webgpu',
      `adapter ${adapterName(adapter)} gives no device`,
      [`requestDevice: ${cause instanceof Error ? cause.message : cause}`],
      'Close other programs that use the GPU, or restart the browser.',
      cause,
    );
  });
  const capabilities = capabilitiesOf(device.limits, {
    quads: device.features.has('subgroups'),
    halfSubnormals: profile === 'adapter' && (await keepsHalfSubnormals(device)),
    software,
  });
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
  );
}

/** For the command, whose options are the same for every backend. */
function environmentProfile(): Profile {
  return globalThis.process?.env?.FLASH_MLA_WEBGPU_PROFILE === 'default' ? 'default' : 'adapter';
}
