import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dequantizeKvCache, flashMlaWithKvCache, getMlaMetadata } from '../../../index.ts';
import type { Device } from '../../../runtime/device/device.ts';
import { dequantizeKvCache as dequantizeReference, hostTensor } from '../../reference.ts';
import { openCpu, upload } from './testing/problems.ts';

let device: Device;

beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.dispose());

const exponentMask = { bf16: 0x7f80, f16: 0x7c00 } as const;

describe('16-bit floats', () => {
  // Attending to one token with weight 1 gives its value back: decoded, accumulated and encoded.
  it.each(['bf16', 'f16'] as const)('every finite %s code survives a call', async (dtype) => {
    const b = 128;
    const flushes = device.info.details.bf16Products === true;
    const mask = exponentMask[dtype];
    const codes = Uint16Array.from({ length: 65536 }, (_, code) =>
      (code & mask) === mask ? 0 : code,
    );
    const cache = new Uint16Array(b * 576);
    for (let i = 0; i < b; i++) cache.set(codes.subarray(i * 512, (i + 1) * 512), i * 576);
    const [schedMeta] = getMlaMetadata();
    for (const hQ of [1, 2, 16]) {
      const { out } = flashMlaWithKvCache({
        q: device.tensor(new Uint16Array(b * hQ * 576), [b, 1, hQ, 576], dtype),
        kCache: device.tensor(cache, [b, 1, 1, 576], dtype),
        blockTable: device.tensor(
          Array.from({ length: b }, (_, i) => i),
          [b, 1],
          'i32',
        ),
        cacheSeqlens: device.tensor(new Int32Array(b).fill(1), [b], 'i32'),
        headDimV: 512,
        schedMeta: hQ === 1 ? schedMeta : getMlaMetadata()[0],
      } as never);
      const actual = (await out.read()) as Uint16Array;
      for (let row = 0; row < b * hQ; row++) {
        const request = Math.floor(row / hQ);
        for (let c = 0; c < 512; c++) {
          const expected = codes[request * 512 + c] as number;
          const got = actual[row * 512 + c] as number;
          // Products of bf16 pairs take subnormal numbers for zeros.
          const isZero =
            flushes && dtype === 'bf16' && (expected & 0x7f80) === 0 && (got & 0x7fff) === 0;
          // Adding to +0 loses the sign of zero.
          if (got !== expected && (got | expected) !== 0x8000 && !isZero) {
            throw new Error(`code ${expected} came back as ${got}`);
          }
        }
      }
    }
  });
});

describe('FP8 rows', () => {
  const scales = [1, 2 ** -13, 0.3, 2 ** 7, 2 ** 8, 2 ** 100, 0, -1.5, Number.POSITIVE_INFINITY];

  it.each(scales)('every e4m3 code under v32 scale %d', async (scale) => {
    const page = 8;
    const data = new Uint8Array(page * 656);
    const view = new DataView(data.buffer);
    for (let t = 0; t < page; t++) {
      // Stretches of all codes, and others of one kind only.
      for (let c = 0; c < 512; c++) data[t * 656 + c] = t < 4 ? c + t : 0x30 + (c & 15);
      if (t > 5) data[t * 656 + 64 * (t - 5)] = t === 6 ? 0x7f : 0x83;
      for (let g = 0; g < 4; g++) view.setFloat32(t * 656 + 512 + 4 * g, scale, true);
    }
    const source = hostTensor('u8', [1, page, 1, 656], data);
    const expected = dequantizeReference(source, 'v32').data;
    const actual = await dequantizeKvCache({
      kCache: upload(device, source),
      layout: 'v32',
    }).read();
    const isNaNCode = (code: number) => (code & 0x7fff) > 0x7f80;
    for (let i = 0; i < actual.length; i++) {
      const [a, e] = [actual[i] as number, expected[i] as number];
      if (a !== e && !(isNaNCode(a) && isNaNCode(e)))
        throw new Error(`element ${i}: ${a}, expected ${e}`);
    }
    expect(actual.length).toBe(page * 576);
  });
});
