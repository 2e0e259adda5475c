import type { Counters } from '@flash-mla/ptx';
import type { CudaContext, CudaDriver, DeviceFacts } from '../cuda/driver/driver.ts';
import { CudaDriverError } from '../cuda/driver/driver-error.ts';
import { SimContext } from './context.ts';
import { simulatedDevices } from './devices.ts';

/** A driver whose devices are simulated on the CPU: kernels run as they were built, checked at each step. */
export class SimDriver implements CudaDriver {
  readonly kind = 'sim';
  readonly version = 13_000;
  readonly origin = 'simulator';
  /** What the kernels of each name have done so far, added up. */
  readonly counters = new Map<string, Counters>();
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
    return new SimContext(ordinal, this.deviceFacts(ordinal), (kernel, counters) => {
      const known = this.counters.get(kernel);
      if (known) addCounters(known, counters);
      else this.counters.set(kernel, counters);
    });
  }
}

function addCounters(sum: Counters, more: Counters): void {
  for (const [name, value] of Object.entries(more)) {
    if (typeof value === 'number') (sum as unknown as Record<string, number>)[name] += value;
  }
  for (const [kind, value] of Object.entries(more.byKind)) {
    sum.byKind[kind] = (sum.byKind[kind] ?? 0) + value;
  }
}
