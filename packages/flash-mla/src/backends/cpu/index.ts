/** The CPU backend: WebAssembly SIMD kernels on worker threads over one shared memory. */

import { BackendUnavailableError } from '../../errors.ts';
import type { Backend } from '../backend.ts';
import type { BackendOptions, ProbedDevice } from '../registry.ts';

export async function probe(): Promise<readonly ProbedDevice[]> {
  throw new BackendUnavailableError('cpu', 'its kernels are not built', [], 'Run `npm run build`.');
}

export async function open(_index: number, _options: BackendOptions): Promise<Backend> {
  throw new BackendUnavailableError('cpu', 'its kernels are not built', [], 'Run `npm run build`.');
}
