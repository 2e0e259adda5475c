import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dequantizeKvCache, quantizeKvCache } from '../../../index.ts';
import type { Device } from '../../../runtime/device/device.ts';
import {
  openCpu,
  randomSource,
  randomTensor,
  upload,
} from '../../attention/cpu/testing/problems.ts';
import {
  dequantizeKvCache as dequantizeReference,
  hostTensor,
  quantizeKvCache as quantizeReference,
} from '../../reference.ts';

let device: Device;

beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.dispose());

/** Rows of ordinary values, of zeros, of tiny and of huge ones, of one large value, and of NaN. */
function rows(blocks: number, page: number, dQk: number) {
  const random = randomSource(dQk);
  const count = blocks * page;
  const data = new Uint16Array(count * dQk);
  for (let row = 0; row < count; row++) {
    const spread = [1, 0, 1e-6, 1e30, 300, 0.01][row % 6] as number;
    data.set(randomTensor(random, [dQk], 'bf16', spread).data, row * dQk);
    if (row % 7 === 3) data[row * dQk + 5] = 0x4640;
    if (row % 11 === 4) data[row * dQk + 70] = 0x7fc0;
    if (row % 13 === 5) data[row * dQk + 200] = 0xff80;
  }
  return hostTensor('bf16', [blocks, page, 1, dQk], data);
}

describe('FP8 rows', () => {
  it.each(['v32', 'model1'] as const)(
    '%s packs as the reference does, bit for bit',
    async (layout) => {
      const [blocks, page, dQk] = [5, 31, layout === 'v32' ? 576 : 512];
      const source = rows(blocks, page, dQk);
      const expected = quantizeReference(source, layout);
      const packed = quantizeKvCache({ kCache: upload(device, source), layout });
      expect(Buffer.compare(await packed.read(), expected.data)).toBe(0);

      const back = dequantizeKvCache({ kCache: packed, layout });
      const backExpected = dequantizeReference(expected, layout).data;
      const actual = await back.read();
      for (let i = 0; i < actual.length; i++) {
        const [a, e] = [actual[i] as number, backExpected[i] as number];
        const bothNaN = (a & 0x7fff) > 0x7f80 && (e & 0x7fff) > 0x7f80;
        if (a !== e && !bothNaN) throw new Error(`element ${i}: ${a}, expected ${e}`);
      }
    },
  );
});
