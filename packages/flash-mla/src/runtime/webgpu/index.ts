/** The WebGPU backend: WGSL kernels through the browser's WebGPU, or Dawn's in Node. */

import { BackendUnavailableError, describeValue, InvalidArgumentError } from '@flash-mla/core';
import type { Backend } from '../device/backend.ts';
import { loadAll } from '../device/kernel-library.ts';
import type { OpenOptions, ProbedDevice } from '../device/registry.ts';
import { adapterDetails, adapterName, isSoftware, type Profile } from './adapter.ts';
import { requestAdapter } from './gpu.ts';
import { openAdapter } from './open.ts';

export async function probe(): Promise<readonly ProbedDevice[]> {
  const profile = environmentProfile();
  const adapter = await requestAdapter();
  return [{ name: adapterName(adapter), details: adapterDetails(adapter, profile) }];
}

/**
 * Opens the fastest adapter. `'auto'` passes over one that is software: the CPU backend does the same
 * work on the same cores without pretending to be a GPU, and faster.
 */
export async function open(
  index: number,
  options: OpenOptions,
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
  const profile = options.webgpuProfile ?? environmentProfile();
  const adapter = await requestAdapter();
  if (isAutomatic && isSoftware(adapter)) {
    throw new BackendUnavailableError(
      'webgpu',
      `its only adapter, ${adapterName(adapter)}, is software, which the CPU backend outruns`,
      [`adapter ${adapterName(adapter)}`],
      "Open 'webgpu' by name to use it all the same.",
    );
  }
  const kernels = await loadAll(options.kernels.map(({ webgpu }) => webgpu));
  return openAdapter(adapter, profile, kernels, options.debug);
}

/** For the command, whose options are the same for every backend. Throws {@link InvalidArgumentError}. */
function environmentProfile(): Profile {
  const value = globalThis.process?.env?.FLASH_MLA_WEBGPU_PROFILE || 'adapter';
  if (value === 'adapter' || value === 'default') return value;
  throw new InvalidArgumentError(
    'FLASH_MLA_WEBGPU_PROFILE',
    "'adapter' or 'default'",
    describeValue(value),
    'Correct the variable, or leave it out for all that the adapter has.',
  );
}
