import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flashMlaWithKvCache, getMlaMetadata } from '../../../index.ts';
import type { Device } from '../../../runtime/device/device.ts';
import { type DenseProblem, denseProblem } from './testing/dense-problem.ts';
import { intTensor, openCpu, randomInt, randomSource, upload } from './testing/problems.ts';

let devices: Device[];

beforeAll(async () => {
  devices = await Promise.all([openCpu({ threads: 1 }), openCpu({ threads: 2 })]);
});
afterAll(() => Promise.all(devices.map((device) => device.dispose())));

/** Bits of each request's out and lse when the given requests of a problem are one batch. */
async function bitsOf(device: Device, problem: DenseProblem, requests: readonly number[]) {
  const { sQ, hQ } = problem.shape;
  const rowQ = sQ * hQ * 576;
  const width = problem.blockTable.shape[1] as number;
  const q = new Uint16Array(requests.length * rowQ);
  const table: number[] = [];
  const lengths: number[] = [];
  requests.forEach((request, i) => {
    q.set((problem.q.data as Uint16Array).subarray(request * rowQ, (request + 1) * rowQ), i * rowQ);
    table.push(...problem.blockTable.data.subarray(request * width, (request + 1) * width));
    lengths.push(problem.cacheSeqlens.data[request] as number);
  });
  const [schedMeta] = getMlaMetadata();
  const { out, lse } = flashMlaWithKvCache({
    q: device.tensor(q, [requests.length, sQ, hQ, 576], 'bf16'),
    kCache: upload(device, problem.kCache) as never,
    blockTable: upload(device, intTensor(table, [requests.length, width])),
    cacheSeqlens: upload(device, intTensor(lengths)),
    headDimV: 512,
    schedMeta,
    causal: true,
    deterministic: true,
  });
  const [outBits, lseBits] = [await out.read(), await lse.read()];
  const perOut = sQ * hQ * 512;
  return requests.map((_, i) => ({
    out: outBits.slice(i * perOut, (i + 1) * perOut),
    lse: lseBits.slice(i * sQ * hQ, (i + 1) * sQ * hQ),
  }));
}

describe('deterministic: true', () => {
  it('gives a request the same bits in any batch and with any number of threads', async () => {
    const random = randomSource(99);
    for (const [sQ, hQ] of [
      [1, 4],
      [2, 17],
    ] as const) {
      const lengths = [2500, 1, 1024, 1025, 64, 0, 3100];
      const problem = denseProblem(random, { lengths, sQ, hQ, hK: 1, page: 64 });
      const all = lengths.map((_, i) => i);
      const [first, second] = devices as [Device, Device];
      const alone = await Promise.all(all.map((i) => bitsOf(first, problem, [i])));
      for (let round = 0; round < 6; round++) {
        const batch = Array.from({ length: randomInt(random, 2, 9) }, () =>
          randomInt(random, 0, lengths.length - 1),
        );
        const together = await bitsOf(round % 2 === 0 ? second : first, problem, batch);
        batch.forEach((request, i) => {
          expect(together[i], `request ${request} in ${batch}`).toEqual(alone[request]?.[0]);
        });
      }
    }
  });
});
