import type { Device } from 'flash-mla';

/** Long enough that a clock with ticks of 0.1 ms, as browsers have for GPUs, tells something. */
const wantedSeconds = 0.02;

export interface KernelTime {
  readonly ms: number;
  /** By the device's own clock; else wall time. */
  readonly isDeviceTime: boolean;
}

/** Time of what `enqueue` enqueues, by running it several times in a row. `guessMs`: from last time. */
export async function kernelTime(
  device: Device,
  enqueue: () => void,
  guessMs: number,
): Promise<KernelTime> {
  const repeats = Math.max(1, Math.min(32, Math.ceil((wantedSeconds * 1e3) / guessMs)));
  const all = () => {
    for (let i = 0; i < repeats; i++) enqueue();
  };
  const { deviceTime } = device.backend.measurements ?? {};
  if (deviceTime) {
    const seconds = await deviceTime(all);
    if (seconds > 0) return { ms: (seconds * 1e3) / repeats, isDeviceTime: true };
  }
  const begin = performance.now();
  all();
  await device.synchronize();
  return { ms: (performance.now() - begin) / repeats, isDeviceTime: false };
}

/** The times of the last steps. */
export class StepTimes {
  readonly #recent: number[] = [];

  add(ms: number): void {
    this.#recent.push(ms);
    if (this.#recent.length > 64) this.#recent.shift();
  }

  get median(): number {
    const sorted = [...this.#recent].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? 0;
  }

  get mean(): number {
    return this.#recent.reduce((sum, ms) => sum + ms, 0) / Math.max(1, this.#recent.length);
  }
}
