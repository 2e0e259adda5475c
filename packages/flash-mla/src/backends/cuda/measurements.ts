import type { BackendMeasurements, DeviceCeilings } from '../backend.ts';
import type { CudaContext, Handle } from './driver/driver.ts';
import type { DeviceLimits } from './limits.ts';
import type { Timeline } from './stream/timeline.ts';

/** Several times the largest L2, so that a copy is one of memory. */
const copyBytes = 2 ** 30;
const copies = 20;

/** Device time by events on the stream, and the ceilings that need no kernel to measure. */
export function measurementsOf(
  context: CudaContext,
  stream: Handle,
  timeline: Timeline,
  limits: DeviceLimits,
): BackendMeasurements {
  const deviceTime = async (enqueue: () => void): Promise<number> => {
    const begin = context.createEvent(true);
    const end = context.createEvent(true);
    try {
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
    const { free } = context.memoryInfo();
    const bytes = Math.min(copyBytes, Math.floor(free / 4 / 512) * 512);
    if (bytes === 0) return { cacheBytes: limits.l2Bytes };
    const source = context.allocate(bytes);
    const target = context.allocate(bytes);
    try {
      const copy = () => context.copyOnDevice(target, source, bytes, stream);
      copy();
      const seconds = await deviceTime(() => {
        for (let i = 0; i < copies; i++) copy();
      });
      const copyBytesPerSecond = (2 * bytes * copies) / seconds;
      return { copyBytesPerSecond, cacheBytes: limits.l2Bytes };
    } finally {
      context.free(source);
      context.free(target);
    }
  };

  return { deviceTime, ceilings };
}
