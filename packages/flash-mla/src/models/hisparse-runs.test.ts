import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDevice } from '../open-device.ts';
import type { Device } from '../runtime/device/device.ts';
import { drawRun, HiSparseRuns } from './testing/hisparse-runs.ts';

// FLASH_MLA_HISPARSE_RUNS=500 makes so many, from FLASH_MLA_HISPARSE_SEED on: about two seconds each.
const { FLASH_MLA_HISPARSE_RUNS: count, FLASH_MLA_HISPARSE_SEED: first = '1000' } = process.env;
/** Short ones in which all that can happen happens. */
const sample = [26, 28, 31];
const seeds =
  count === undefined ? sample : Array.from({ length: Number(count) }, (_, i) => Number(first) + i);

describe(`${seeds.length} random runs`, () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.dispose());

  it('give the same tokens with HiSparse and without', async () => {
    const runs = new HiSparseRuns(device);
    const differing: string[] = [];
    for (const seed of seeds) {
      const difference = await runs.differs(drawRun(seed));
      if (difference !== undefined) differing.push(difference);
    }
    await runs.close();
    expect(differing).toEqual([]);
    for (const [what, times] of Object.entries(runs.counts)) expect(times, what).toBeGreaterThan(0);
    expect(device.memoryStats().allocated).toBe(0);
  }, 3_600_000);
});
