import type { CudaContext, CudaDriver, DeviceFacts } from '../cuda/driver/driver.ts';
import { CudaDriverError } from '../cuda/driver/driver-error.ts';
import { SimContext } from './context.ts';
import { simulatedDevices } from './devices.ts';

/** A driver whose devices are simulated on the CPU: kernels run as they were built, checked at each step. */
export class SimDriver implements CudaDriver {
  readonly kind = 'sim';
  readonly version = 13_000;
  readonly origin = 'simulator';
  readonly #devices: readonly DeviceFacts[];

  constructor(devices: readonly DeviceFacts[] = simulatedDevices) {
    this.#devices = devices;
  }

  deviceCount(): number {
    return this.#devices.length;
  }

  deviceFacts(ordinal: number): DeviceFacts {
    const facts = this.#devices[ordinal];
    if (facts !== undefined) return facts;
    throw new CudaDriverError('cuDeviceGet', 101, 'CUDA_ERROR_INVALID_DEVICE', `device ${ordinal}`);
  }

  openContext(ordinal: number): CudaContext {
    return new SimContext(ordinal, this.deviceFacts(ordinal));
  }
}
