import type { Device } from '../../../index.ts';
import { openDevice } from '../../../index.ts';
import { runProperties } from '../property/run-properties.ts';

/** What of some drawn problems fails on a device: nothing, as a test expects. Each must have been run. */
export async function failuresOf(
  device: Device,
  problems: {
    readonly count: number;
    readonly seed: string;
    readonly maxCost?: number;
    readonly filter?: string;
  },
): Promise<string[]> {
  const failures: string[] = [];
  let done = 0;
  for await (const { status, seed, name, message } of runProperties(device, {
    ...problems,
    shrinks: false,
  })) {
    done++;
    if (status === 'failed') failures.push(`${seed} ${name}: ${message}`);
  }
  if (done !== problems.count) failures.push(`${done} of ${problems.count} problems were run`);
  return failures;
}

/** {@link failuresOf} of a device that is opened for it. */
export async function failuresOn(
  spec: Parameters<typeof openDevice>[0],
  problems: Parameters<typeof failuresOf>[1],
): Promise<string[]> {
  const device = await openDevice(spec);
  try {
    return await failuresOf(device, problems);
  } finally {
    await device.dispose();
  }
}
