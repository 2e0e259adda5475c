import type { PreparedProblem } from '../../ops/bench/operation.ts';
import type { Device } from '../../runtime/device/device.ts';

/** How long and how often to measure. */
export interface MeasureOptions {
  /** Sets of inputs that calls go through in turn. */
  readonly copies: number;
  /** Calls recorded in one graph. */
  readonly calls: number;
  /** Seconds of replays before anything counts, so that clocks and power have settled. */
  readonly settleSeconds?: number;
  readonly samples?: number;
  /** Fewer samples, but at least 5, where all of them would take longer. */
  readonly budgetSeconds?: number;
  readonly signal?: AbortSignal;
}

/** Time of one call, in microseconds. */
export interface Measurement {
  /** Median and least of the samples. */
  readonly us: number;
  readonly usMin: number;
  readonly samples: number;
  /** `device`: the device's own events; `wall`: from the first enqueue to the end of synchronize(). */
  readonly clock: 'device' | 'wall';
}

/** A wall-clock sample lasts at least this long, so that the clock's grain does not matter. */
const minSampleSeconds = 0.002;

/**
 * Times a problem as FlashMLA's own measurements were taken: a graph of calls over rotated inputs,
 * replayed until settled, then the median of many replays. Rejects with what the device reports.
 */
export async function measure(
  device: Device,
  prepared: PreparedProblem,
  options: MeasureOptions,
): Promise<Measurement> {
  const { copies, calls, settleSeconds = 0.35, samples = 31, budgetSeconds = 6, signal } = options;
  for (let copy = 0; copy < copies; copy++) prepared.enqueue(copy);
  await device.synchronize();
  const graph = device.capture(() => {
    for (let call = 0; call < calls; call++) prepared.enqueue(call % copies);
  });
  try {
    const { measurements } = device.backend;
    const deviceTime = measurements?.deviceTime?.bind(measurements);
    const wallTime = async (replays: number) => {
      const begin = performance.now();
      for (let i = 0; i < replays; i++) graph.replay();
      await device.synchronize();
      return (performance.now() - begin) / 1e3;
    };
    const replaySeconds = await settle(wallTime, settleSeconds, signal);
    const replays = deviceTime ? 1 : Math.max(1, Math.ceil(minSampleSeconds / replaySeconds));
    const affordable = Math.floor(budgetSeconds / (replaySeconds * replays));
    const count = Math.max(5, Math.min(samples, affordable));
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      signal?.throwIfAborted();
      const seconds = deviceTime ? await deviceTime(() => graph.replay()) : await wallTime(replays);
      times.push((seconds / (replays * calls)) * 1e6);
    }
    times.sort((a, b) => a - b);
    return {
      us: median(times),
      usMin: times[0] ?? Number.NaN,
      samples: count,
      clock: deviceTime ? 'device' : 'wall',
    };
  } finally {
    graph.dispose();
  }
}

/** Replays until `seconds` have passed, at least twice; the seconds of one replay at the end. */
async function settle(
  time: (replays: number) => Promise<number>,
  seconds: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let last = await time(1);
  let passed = last;
  do {
    signal?.throwIfAborted();
    const replays = Math.max(1, Math.min(1000, Math.floor(0.05 / Math.max(last, 1e-6))));
    const taken = await time(replays);
    passed += taken;
    last = taken / replays;
  } while (passed < seconds);
  return last;
}

/** The middle of sorted values, the mean of the two middle ones where their number is even. */
export function median(sorted: readonly number[]): number {
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2;
}
