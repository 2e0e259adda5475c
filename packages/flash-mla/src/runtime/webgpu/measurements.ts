import type { BackendMeasurements } from '../device/backend.ts';
import { gpuProbe, measureCeilings, softwareProbe } from './ceilings.ts';
import type { Recorder } from './runtime/recorder.ts';
import type { Runtime } from './runtime/runtime.ts';

/** Compute passes that one measurement can tell apart; later ones count as part of the last. */
const mostPasses = 256;

/** Device time by timestamp queries, where the adapter has them, and ceilings. */
export function measurements(
  runtime: Runtime,
  recorder: Recorder,
  isSoftware: boolean,
): BackendMeasurements {
  const hasTimestamps = runtime.device.features.has('timestamp-query');
  const device = (enqueue: () => void) => deviceTime(runtime, recorder, enqueue);
  const clock = hasTimestamps ? device : (enqueue: () => void) => wallTime(runtime, enqueue);
  const ceilings = () => measureCeilings(runtime, clock, isSoftware ? softwareProbe : gpuProbe);
  return hasTimestamps ? { deviceTime: device, ceilings } : { ceilings };
}

/** Seconds until work that is submitted now is done: what there is without timestamps. */
async function wallTime({ device, queue }: Runtime, enqueue: () => void): Promise<number> {
  const started = performance.now();
  enqueue();
  await queue.submitted();
  await device.queue.onSubmittedWorkDone().catch(() => undefined); // `check` tells why.
  await queue.check();
  return (performance.now() - started) / 1e3;
}

/**
 * Seconds from the beginning of the first compute pass to the end of the last. All kernels are there
 * before the first command runs, so that compiling does not count.
 */
async function deviceTime(
  runtime: Runtime,
  recorder: Recorder,
  enqueue: () => void,
): Promise<number> {
  const { device, queue } = runtime;
  const { commands, scratch } = runtime.capture(enqueue);
  // One that does not compile is reported by the queue.
  await Promise.allSettled(commands.map((command) => command.ready?.()));
  await queue.submitted();
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 * mostPasses });
  const timing = { querySet, used: 0, most: mostPasses };
  recorder.timing = timing;
  try {
    for (const command of commands) queue.enqueue(command);
    await queue.submitted();
  } finally {
    recorder.timing = undefined;
    for (const buffer of scratch) runtime.release(buffer);
  }
  const bytes = 16 * timing.used;
  try {
    if (timing.used === 0) {
      await queue.check();
      return 0;
    }
    const resolved = device.createBuffer({ size: bytes, usage: 0x200 | 0x04 }); // QUERY_RESOLVE | COPY_SRC
    const staging = device.createBuffer({ size: bytes, usage: 0x01 | 0x08 }); // MAP_READ | COPY_DST
    const encoder = device.createCommandEncoder();
    encoder.resolveQuerySet(querySet, 0, 2 * timing.used, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(1);
    const times = [...new BigUint64Array(staging.getMappedRange().slice(0))];
    staging.destroy();
    resolved.destroy();
    await queue.check();
    const first = times[0] ?? 0n;
    const last = times.at(-1) ?? first;
    return Number(last - first) / 1e9;
  } finally {
    querySet.destroy();
  }
}
