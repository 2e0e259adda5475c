import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Device, openDevice } from '../../../index.ts';
import { faultyDevice, shortened } from '../../conformance/testing/faulty-backend.ts';
import { resultsOf } from '../../conformance/testing/results.ts';
import type { AppendArgs } from '../contract.ts';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.dispose());

describe('a backend with one fault fails', () => {
  it.each<
    [what: string, filter: string, fault: { appendKvCache: (args: AppendArgs) => AppendArgs }]
  >([
    [
      'leaves the last row out',
      'append',
      {
        appendKvCache: (a) => ({
          ...a,
          rows: shortened(a.rows, 0),
          slots: shortened(a.slots, 0),
        }),
      },
    ],
    [
      'does not know the last blocks of the cache',
      'append',
      { appendKvCache: (a) => ({ ...a, kCache: shortened(shortened(a.kCache, 0), 0) }) },
    ],
  ])('that %s (%s)', async (_, filter, fault) => {
    const list = await resultsOf(faultyDevice(device, fault), { filter, maxCost: 200 });
    expect(list.length).toBeGreaterThan(0);
    expect(list.filter(({ status }) => status === 'failed')).not.toEqual([]);
  });
});
