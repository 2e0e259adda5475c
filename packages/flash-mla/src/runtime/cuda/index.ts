/** The CUDA backend: NVIDIA GPUs from compute capability 8.0, through the driver alone. */

import type { Backend } from '../device/backend.ts';
import { familiesOf } from '../device/kernel-library.ts';
import type { OpenOptions, ProbedDevice } from '../device/registry.ts';
import type { CudaDriver } from './driver/driver.ts';
import { openLibcuda } from './libcuda/load.ts';

let driver: Promise<CudaDriver> | undefined;

/** The process's driver. A failure is not kept: the next call looks again. */
function theDriver(): Promise<CudaDriver> {
  driver ??= openLibcuda().catch((error: unknown) => {
    driver = undefined;
    throw error;
  });
  return driver;
}

/** All else of the backend, read while the driver starts. */
function theRest() {
  return import('./open.ts');
}

export async function probe(): Promise<readonly ProbedDevice[]> {
  const [driver, { probeCuda }] = await Promise.all([theDriver(), theRest()]);
  return probeCuda(driver);
}

export async function open(index: number, options: OpenOptions): Promise<Backend> {
  const [driver, { openCuda }] = await Promise.all([theDriver(), theRest()]);
  return openCuda(driver, index, {
    debug: options.debug ?? false,
    exactMemory: process.env.FLASH_MLA_POOL === 'off',
    families: familiesOf(options.kernels),
  });
}
