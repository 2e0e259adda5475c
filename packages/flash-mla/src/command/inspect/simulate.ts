import type { Counters } from '@flash-mla/ptx';
import type { BenchOperation, ProblemOptions } from '../../ops/bench/operation.ts';
import { flashMlaKernels } from '../../ops/kernel-libraries.ts';
import type { DeviceFacts } from '../../runtime/cuda/driver/driver.ts';
import { openCuda } from '../../runtime/cuda/open.ts';
import { Device } from '../../runtime/device/device.ts';
import { SimDriver } from '../../runtime/sim/driver.ts';

/** Runs one call on a simulated GPU; what its kernels did, by name. */
export async function countInSimulator(
  operation: BenchOperation,
  options: ProblemOptions,
  gpu: DeviceFacts,
): Promise<ReadonlyMap<string, Counters>> {
  const driver = new SimDriver([gpu]);
  const backend = await openCuda(driver, 0, {
    debug: false,
    exactMemory: true,
    families: flashMlaKernels.cuda,
  });
  const device = new Device(backend, false, []);
  try {
    const prepared = await operation.prepare(device, operation.problem(options, 'gpu'), 1);
    driver.counters.clear();
    prepared.enqueue(0);
    await device.synchronize();
    prepared.dispose();
    return driver.counters;
  } finally {
    await device.dispose();
  }
}
