import type { DeviceCeilings } from '../device/backend.ts';
import { flopsPerRound, type Probe, probeInvocations, probeKernel } from './kernels/probes.ts';
import type { Runtime } from './runtime/runtime.ts';

/** Seconds on the device of what `enqueue` enqueues. */
type Clock = (enqueue: () => void) => Promise<number>;

/** How much a probe does at once. */
export interface ProbeSize {
  /** Workgroups of the grid, and rounds of each in `multiply-add`. */
  readonly workgroups: number;
  readonly rounds: number;
  /** A power of two. */
  readonly memoryBytes: number;
}

/** More memory than any cache of a GPU, and work for the largest, in about 0.1 ms there. */
export const gpuProbe: ProbeSize = { workgroups: 4096, rounds: 128, memoryBytes: 2 ** 28 };

/** The same where a CPU does it in milliseconds. */
export const softwareProbe: ProbeSize = { workgroups: 32, rounds: 32, memoryBytes: 2 ** 24 };

/** Long enough for the coarse clocks of browsers (0.1 ms) and for what a submission costs. */
const wantedSeconds = 0.01;
/** What one probe may take, compiling left out. */
const budgetMs = 50;
const mostLaunches = 256;

/**
 * Measures the ceilings of a device by probes of about 0.1 s each: the best of some runs, since a
 * ceiling is what the device can do when nothing disturbs it. Nothing is known where the memory for it
 * is not free.
 */
export async function measureCeilings(
  runtime: Runtime,
  clock: Clock,
  size: ProbeSize,
): Promise<DeviceCeilings> {
  const { device, capabilities } = runtime;
  const { workgroups, rounds } = size;
  const most = Math.min(size.memoryBytes, capabilities.bindingBytes);
  const bytes = 2 ** Math.floor(Math.log2(most));
  device.pushErrorScope('out-of-memory');
  const buffer = device.createBuffer({ size: bytes, usage: 0x80 }); // STORAGE
  const noMemory = await device.popErrorScope();
  const dispatch = (probe: Probe, count: number) =>
    runtime.dispatch({
      name: `probe ${probe}`,
      source: () => probeKernel(probe),
      params: { count, seed: 0.999 },
      storage: { data: { buffer } },
      workgroups: [workgroups, 1, 1],
    });
  try {
    if (noMemory) return {};
    const vectors = bytes / 16;
    const flops = workgroups * rounds * flopsPerRound;
    const flopsPerSecond = await bestRate(clock, flops, () => dispatch('multiply-add', rounds));
    dispatch('fill', vectors);
    const copied = await bestRate(clock, bytes, () => dispatch('copy', vectors / 2));
    const read = await bestRate(clock, bytes, () => dispatch('read', vectors));
    return {
      ...(flopsPerSecond && {
        flopsPerSecond,
        flopsOf: `f32 multiply-add on registers, ${workgroups} workgroups of ${probeInvocations}`,
      }),
      ...(read && { readBytesPerSecond: read }),
      ...(copied && { copyBytesPerSecond: copied }),
    };
  } finally {
    await runtime.queue.submitted();
    buffer.destroy();
  }
}

/** The most work per second of several runs, which grow until they are long enough to be timed. */
async function bestRate(
  clock: Clock,
  work: number,
  launch: () => void,
): Promise<number | undefined> {
  let best: number | undefined;
  let launches = 1;
  await clock(launch); // Compiles.
  const end = performance.now() + budgetMs;
  do {
    const seconds = await clock(() => {
      for (let i = 0; i < launches; i++) launch();
    });
    // A clock that stands still says nothing.
    if (seconds > 0) best = Math.max(best ?? 0, (work * launches) / seconds);
    const growth = seconds > 0 ? Math.ceil(wantedSeconds / seconds) : 4;
    launches = Math.min(mostLaunches, launches * Math.min(8, Math.max(1, growth)));
  } while (performance.now() < end);
  return best;
}
