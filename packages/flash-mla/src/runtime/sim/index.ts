/**
 * The simulated CUDA backend: the whole of the CUDA backend on a driver that runs kernels on the CPU,
 * instruction by instruction, and finds their mistakes. For tests; it is thousands of times slower.
 */

import { openCuda, probeCuda } from '../cuda/open.ts';
import type { Backend } from '../device/backend.ts';
import { familiesOf } from '../device/kernel-library.ts';
import type { OpenOptions, ProbedDevice } from '../device/registry.ts';
import { SimDriver } from './driver.ts';

export async function probe(): Promise<readonly ProbedDevice[]> {
  return probeCuda(new SimDriver());
}

export async function open(index: number, options: OpenOptions): Promise<Backend> {
  // Every tensor in memory of its own: so that an access beyond one is found.
  return openCuda(new SimDriver(), index, {
    debug: options.debug ?? false,
    exactMemory: true,
    families: familiesOf(options.kernels),
  });
}
