import { flashMlaKernels } from '../../../ops/kernel-libraries.ts';
import { Device } from '../../device/device.ts';
import type { Profile } from '../adapter.ts';
import { requestAdapter } from '../gpu.ts';
import { openAdapter } from '../open.ts';
import type { Capabilities } from '../runtime/limits.ts';
import type { WebGpuBackend } from '../webgpu-backend.ts';

/** A device that claims other capabilities than it has, and the backend behind it. */
export async function openAdjusted(
  adjust: (capabilities: Capabilities) => Capabilities,
  profile: Profile = 'adapter',
): Promise<{ device: Device; backend: WebGpuBackend }> {
  const kernels = await flashMlaKernels.webgpu();
  const backend = await openAdapter(await requestAdapter(), profile, kernels, false, adjust);
  return { device: new Device(backend, false, []), backend };
}
