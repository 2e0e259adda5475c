import type { BackendMeasurements, DeviceCeilings } from '../../device/backend.ts';
import type { CudaContext } from '../driver/driver.ts';
import type { Call, PreparedLaunch } from '../kernel.ts';
import type { Launcher } from '../launch/launcher.ts';
import type { Timeline } from '../stream/timeline.ts';
import { type DelayParams, delaySpec } from './delay.ts';

/** Several times the largest L2, so that a copy is one of memory. */
const copyBytes = 2 ** 30;
const copies = 20;
/**
 * About 50 µs on any GPU: longer than the host takes to enqueue a graph. Without it the device would
 * wait for the host between the first event and the work, and that would count.
 */
const leadCycles = 90_000;

/** Device time by events on the stream, and the ceilings that need no kernel to measure. */
export function measurementsOf(
  context: CudaContext,
  call: Call,
  timeline: Timeline,
  launcher: Launcher,
): BackendMeasurements {
  const { stream } = call;
  let lead: PreparedLaunch<DelayParams> | undefined;

  const deviceTime = async (enqueue: () => void): Promise<number> => {
    lead ??= prepareLead(launcher);
    const begin = context.createEvent(true);
    const end = context.createEvent(true);
    try {
      lead.enqueue(call, [1, 1, 1]);
      context.recordEvent(begin, stream);
      enqueue();
      context.recordEvent(end, stream);
      await timeline.wait(timeline.mark());
      return context.elapsedMs(begin, end) / 1000;
    } finally {
      context.destroyEvent(begin);
      context.destroyEvent(end);
    }
  };

  const ceilings = async (): Promise<DeviceCeilings> => {
    const cacheBytes = launcher.limits.l2Bytes;
    const bytes = Math.min(copyBytes, Math.floor(context.memoryInfo().free / 4 / 512) * 512);
    if (bytes === 0) return { cacheBytes };
    const source = context.allocate(bytes);
    const target = context.allocate(bytes);
    try {
      const copy = () => context.copyOnDevice(target, source, bytes, stream);
      copy();
      const seconds = await deviceTime(() => {
        for (let i = 0; i < copies; i++) copy();
      });
      return { copyBytesPerSecond: (2 * bytes * copies) / seconds, cacheBytes };
    } finally {
      context.free(source);
      context.free(target);
    }
  };

  return { deviceTime, ceilings };
}

function prepareLead(launcher: Launcher): PreparedLaunch<DelayParams> {
  const lead = launcher.prepare({ kernel: delaySpec, config: {}, grid: [1, 1, 1] });
  lead.set.cycles(leadCycles);
  return lead;
}
