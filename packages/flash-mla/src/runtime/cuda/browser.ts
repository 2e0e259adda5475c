/** What a browser gets in place of the CUDA backend. */

import { BackendUnavailableError } from '@flash-mla/core';
import type { Backend } from '../device/backend.ts';
import type { BackendOptions, ProbedDevice } from '../device/registry.ts';

export async function probe(): Promise<readonly ProbedDevice[]> {
  throw unavailable();
}

export async function open(_index: number, _options: BackendOptions): Promise<Backend> {
  throw unavailable();
}

function unavailable(): BackendUnavailableError {
  const remedy = "Use openDevice('webgpu') or openDevice('cpu') here.";
  return new BackendUnavailableError(
    'cuda',
    'a browser has no CUDA driver',
    [],
    remedy,
    undefined,
    true,
  );
}
