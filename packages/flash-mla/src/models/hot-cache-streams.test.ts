import { describe, expect, it } from 'vitest';
import { openDevice } from '../open-device.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { DeviceMatrix } from './device-operations.ts';
import { DeviceHotCache } from './hot-cache.ts';
import { StepTensors } from './step-tensors.ts';

const [pageSize, topK, bufferSize, columns] = [4, 4, 8, 16];
const sizes = { maxRunning: 2, maxModelLength: 40, numDevicePages: 12, numHostPages: 16 };
const hisparse = {
  ...{ topK, deviceBufferSize: bufferSize, hostToDeviceRatio: 1, swapInBlockSize: 32 },
};

/** What a row holds: its layer and its position. */
const rowOf = (layer: number, position: number) => 100 * layer + position;

// The simulated GPU keeps account of what is ordered before what: a missing event loses the device.
describe.each(['sim', 'cpu'] as const)('copies beside the steps on %s', (kind) => {
  it('are there when a layer that shares a choice attends, and new rows are on the host', async () => {
    await using device = await openDevice(kind);
    const step = new StepTensors(device);
    const latents = [0, 1, 2].map(
      () =>
        device.empty([sizes.numDevicePages * pageSize, columns], 'u8') as Tensor as DeviceMatrix,
    );
    const indexKeys = device.empty([1, 1], 'f32');
    // The second layer shares the choice of the first one.
    const cache = latents.map((own, i) => ({ latents: own, ...(i !== 1 && { indexKeys }) }));
    const hot = new DeviceHotCache(step, pageSize, cache, { hisparse, ...sizes });
    const write = (layer: number, row: number, value: number) =>
      latents[layer]?.slice(0, row, row + 1).write(new Uint8Array(columns).fill(value));

    // A prompt of 20 tokens in pages 1 to 5 of both, of which the first three stay as the buffer.
    for (const layer of [0, 1, 2])
      for (let position = 0; position < 20; position++)
        write(layer, pageSize + position, rowOf(layer, position));
    const pages = [1, 2, 3, 4, 5, 6];
    await hot.transfers.store(
      pages.slice(0, 5).map((page) => ({ devicePage: page, hostPage: page })),
    );
    hot.start(0);

    const rows = async (layer: number, locations: Tensor<'i32'>) => {
      const bytes = await (latents[layer] as Tensor as Tensor<'u8'>).read();
      return [...(await locations.read())].map((row) => bytes[row * columns]);
    };
    let misses = 0;
    // The newest token of each step is wanted by the next one, when it is on the host alone.
    for (const position of [20, 21, 22]) {
      await step.scope(async () => {
        hot.begin([{ slot: 0, epoch: 0, position, token: 0, pages, devicePages: [1, 2, 3] }]);
        const sequence = { pages: [1, 2, 3], start: position, count: 1, row: 0, hotRow: 0 };
        const run = { row: 0, count: 1, sequences: [sequence] };
        const slots = step.integers(Int32Array.of(hot.deviceRowOf(0, position)));
        const wanted = [position, position - 1, 12, position - 10];
        for (const [layer, own] of latents.entries()) {
          write(layer, hot.deviceRowOf(0, position), rowOf(layer, position));
          hot.keepNewest(own, slots, run.sequences);
          const chosen = step.integers(Int32Array.from(wanted)).reshape([1, topK]);
          const locations = hot.locate(own, chosen, run);
          const expected = wanted.map((token) => rowOf(layer, token));
          expect(await rows(layer, locations)).toEqual(expected);
        }
      });
      const totals = await hot.end();
      misses += totals.misses;
      // Two groups look up; the first one's misses are copied for two layers.
      expect(totals.hits + totals.misses).toBe(2 * topK);
      expect(totals.bytes).toBe((totals.misses / 2) * 3 * columns);
    }
    expect(misses).toBeGreaterThan(0);
    hot[Symbol.dispose]();
    for (const tensor of [...latents, indexKeys]) tensor.dispose();
    expect(device.memoryStats().allocated).toBe(0);
  });
});
