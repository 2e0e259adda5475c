import { device, type TaskContext } from '../session.ts';
import { Batch } from './batch.ts';
import { checkStep } from './check.ts';
import type { LoopSample, LoopSettings, Timing } from './settings.ts';
import { type KernelTime, kernelTime, StepTimes } from './timing.ts';

/** Milliseconds between samples, and between measurements of the kernels alone. */
const [samplePeriod, kernelPeriod] = [100, 700];

/**
 * Decodes until it is aborted: each step appends a row to every request, takes a fresh page where the
 * newest is full, and attends. A request that has all its tokens gives its pages back, and another of the
 * same prompt length takes its place.
 */
export async function decode(
  settings: LoopSettings,
  { signal, emit }: TaskContext<LoopSample>,
): Promise<null> {
  const batch = await Batch.create(device(), settings);
  try {
    batch.advance();
    batch.enqueue();
    const check = await checkStep(batch.step);
    // The first step compiled the kernels; a second one tells how long they take.
    const second = performance.now();
    batch.enqueue();
    await device().synchronize();
    let kernel: KernelTime = { ms: performance.now() - second, isDeviceTime: false };
    const times = new StepTimes();
    let [steps, sampled, measured] = [1, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
    while (!signal.aborted) {
      const begin = performance.now();
      batch.advance();
      batch.enqueue();
      await device().synchronize();
      const end = performance.now();
      times.add(end - begin);
      steps++;
      if (end - measured > kernelPeriod) {
        kernel = await kernelTime(device(), () => batch.enqueue(), kernel.ms);
        measured = performance.now();
      }
      if (end - sampled < samplePeriod) continue;
      const timing: Timing = {
        tokensPerSecond: (settings.batch * 1e3) / times.mean,
        stepMs: times.median,
        kernelMs: kernel.ms,
        isDeviceTime: kernel.isDeviceTime,
      };
      emit({ steps, check, ...timing, ...batch.describe() });
      sampled = end;
      await turn();
    }
    return null;
  } finally {
    batch.dispose();
  }
}

/** Lets messages in. A timer would wait for 4 ms. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
