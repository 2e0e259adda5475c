import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flashAttnVarlenFunc, flashAttnWithKvCache } from '../../../index.ts';
import type { Device } from '../../../runtime/device/device.ts';
import { cacheAttention, varlenAttention } from '../../reference.ts';
import {
  excessOf,
  intTensor,
  openCpu,
  randomInt,
  randomSource,
  randomTensor,
  shuffled,
  upload,
} from './testing/problems.ts';

let device: Device;

beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.dispose());

function prefixSums(lengths: readonly number[]): number[] {
  let sum = 0;
  return [0, ...lengths.map((n) => (sum += n))];
}

describe('dense attention against the float64 reference', () => {
  it.each([
    { q: [5, 0, 130, 1], k: [9, 4, 200, 0], hQ: 4, hK: 2, dQk: 192, dV: 128, dtype: 'bf16' },
    { q: [70, 3], k: [70, 3], hQ: 3, hK: 3, dQk: 64, dV: 64, dtype: 'f16' },
    { q: [33], k: [300], hQ: 8, hK: 1, dQk: 128, dV: 128, dtype: 'bf16' },
  ] as const)(
    'packed sequences %o',
    async ({ q: lengthsQ, k: lengthsK, hQ, hK, dQk, dV, dtype }) => {
      for (const causal of [false, true]) {
        const random = randomSource(hQ);
        const cuSeqlensQo = intTensor(prefixSums(lengthsQ));
        const cuSeqlensKv = intTensor(prefixSums(lengthsK));
        const totalQ = cuSeqlensQo.data.at(-1) as number;
        const totalK = cuSeqlensKv.data.at(-1) as number;
        const q = randomTensor(random, [totalQ, hQ, dQk], dtype);
        const k = randomTensor(random, [totalK, hK, dQk], dtype);
        const v = randomTensor(random, [totalK, hK, dV], dtype);
        const expected = varlenAttention({ q, k, v, cuSeqlensQo, cuSeqlensKv, causal });
        const { out, lse } = flashAttnVarlenFunc({
          q: upload(device, q),
          k: upload(device, k),
          v: upload(device, v),
          cuSeqlensQo: upload(device, cuSeqlensQo),
          cuSeqlensKv: upload(device, cuSeqlensKv),
          maxSeqlenQo: Math.max(...lengthsQ),
          maxSeqlenKv: Math.max(...lengthsK),
          causal,
        });
        expect(await excessOf(lse, expected.lse)).toBeLessThan(2e-6);
        expect(await excessOf(out, expected.out)).toBeLessThan(2e-6);
      }
    },
  );

  it.each([true, false])('a cache, paged: %s', async (paged) => {
    for (const causal of [false, true]) {
      const random = randomSource(paged ? 1 : 2);
      const [b, sQ, hQ, hK, dQk, dV, page] = [3, 4, 6, 2, 96, 64, paged ? 16 : 100];
      const blocks = paged ? 22 : b;
      const cacheSeqlens = intTensor([randomInt(random, 1, 100), 0, 100]);
      const q = randomTensor(random, [b, sQ, hQ, dQk], 'bf16');
      const kCache = randomTensor(random, [blocks, page, hK, dQk], 'bf16');
      const vCache = randomTensor(random, [blocks, page, hK, dV], 'bf16');
      const blockTable = paged
        ? intTensor(shuffled(random, blocks).slice(0, b * 7), [b, 7])
        : undefined;
      const expected = cacheAttention({ q, kCache, vCache, cacheSeqlens, blockTable, causal });
      const { out, lse } = flashAttnWithKvCache({
        q: upload(device, q),
        kCache: upload(device, kCache),
        vCache: upload(device, vCache),
        cacheSeqlens: upload(device, cacheSeqlens),
        blockTable: blockTable && upload(device, blockTable),
        causal,
      });
      expect(await excessOf(lse, expected.lse)).toBeLessThan(2e-6);
      expect(await excessOf(out, expected.out)).toBeLessThan(2e-6);
    }
  });
});
