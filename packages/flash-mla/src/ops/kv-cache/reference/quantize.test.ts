import { decodeBf16, decodeE4m3, encodeBf16, hostTensor } from '@flash-mla/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCase } from '../../attention/reference/testing/read-case.ts';
import { packedLayouts } from './packed-rows.ts';
import { dequantizeKvCache, quantizeKvCache } from './quantize.ts';

const layouts = ['v32', 'model1'] as const;

function randomRows(blocks: number, page: number, d: number, seed: number) {
  let state = seed;
  const data = Uint16Array.from({ length: blocks * page * d }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return encodeBf16((state / 2 ** 31) * 2 ** ((state >>> 3) % 9));
  });
  return hostTensor('bf16', [blocks, page, 1, d], data);
}

describe.each(layouts)('%s rows', (layout) => {
  const packed = packedLayouts[layout];
  const d = packed.headDimQk;

  it('keep rope values exactly and the others to half a unit of e4m3', () => {
    const source = randomRows(2, 3, d, 7);
    const back = dequantizeKvCache(quantizeKvCache(source, layout), layout);
    expect(back.shape).toEqual(source.shape);
    for (let i = 0; i < source.data.length; i++) {
      const value = decodeBf16(source.data[i] as number);
      const restored = decodeBf16(back.data[i] as number);
      if (i % d >= packed.headDimNope) {
        expect(restored).toBe(value);
        continue;
      }
      const tile = i - (i % d) + Math.floor((i % d) / packed.tile) * packed.tile;
      const values = Array.from(source.data.subarray(tile, tile + packed.tile), decodeBf16);
      const scale = 2 ** Math.ceil(Math.log2(Math.max(...values.map(Math.abs)) / 448));
      expect(Math.abs(restored - value)).toBeLessThanOrEqual(
        Math.max(Math.abs(value) / 16, scale * 2 ** -10),
      );
    }
  });

  it('give a row of zeros the smallest scale and decode it to zeros', () => {
    const zeros = hostTensor('bf16', [1, 1, 1, d], new Uint16Array(d));
    const bytes = quantizeKvCache(zeros, layout).data;
    const view = new DataView(bytes.buffer);
    const scale = layout === 'v32' ? view.getFloat32(512, true) : 2 ** (view.getUint8(576) - 127);
    expect(scale).toBe(2 ** -13);
    expect(
      dequantizeKvCache(quantizeKvCache(zeros, layout), layout).data.every((x) => x === 0),
    ).toBe(true);
  });

  it('survive a second round unchanged', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const once = quantizeKvCache(randomRows(1, 2, d, seed), layout);
        const restored = dequantizeKvCache(once, layout);
        const twice = dequantizeKvCache(quantizeKvCache(restored, layout), layout);
        expect(twice.data).toEqual(restored.data);
      }),
      { numRuns: 50 },
    );
  });

  it('refuse another width', () => {
    const source = hostTensor('bf16', [1, 1, 1, 8], new Uint16Array(8));
    expect(() => quantizeKvCache(source, layout)).toThrow(
      `${d} columns a row for '${layout}', got 8`,
    );
    const bytes = hostTensor('u8', [1, 1, 1, 8], new Uint8Array(8));
    expect(() => dequantizeKvCache(bytes, layout)).toThrow(/bytes a row/);
  });
});

describe('byte layout', () => {
  it('v32: values, scales, rope of a token together', () => {
    const row = new Uint16Array(576);
    row[0] = encodeBf16(448);
    row[128] = encodeBf16(-896);
    row[575] = encodeBf16(3);
    const { data } = quantizeKvCache(
      hostTensor('bf16', [1, 2, 1, 576], Uint16Array.of(...new Uint16Array(576), ...row)),
      'v32',
    );
    const view = new DataView(data.buffer, 656);
    expect([decodeE4m3(view.getUint8(0)), view.getFloat32(512, true)]).toEqual([448, 1]);
    expect([decodeE4m3(view.getUint8(128)), view.getFloat32(516, true)]).toEqual([-448, 2]);
    expect(view.getUint16(654, true)).toBe(encodeBf16(3));
  });

  it('model1: values of all tokens, then 8 scale bytes each, the last 0', () => {
    const row = new Uint16Array(512);
    row[0] = encodeBf16(448);
    row[64] = encodeBf16(-896);
    row[511] = encodeBf16(3);
    const { data } = quantizeKvCache(
      hostTensor('bf16', [1, 2, 1, 512], Uint16Array.of(...new Uint16Array(512), ...row)),
      'model1',
    );
    const view = new DataView(data.buffer);
    expect(decodeE4m3(view.getUint8(576))).toBe(448);
    expect(decodeE4m3(view.getUint8(576 + 64))).toBe(-448);
    expect(view.getUint16(2 * 576 - 2, true)).toBe(encodeBf16(3));
    expect([...data.subarray(2 * 576 + 8)]).toEqual([127, 128, 114, 114, 114, 114, 114, 0]);
  });

  it('repeats the bytes that FlashMLA quantised, from what they decode to', () => {
    // A tile whose largest value fell on a lower binade after rounding may take half the scale: then
    // the bytes differ and the values do not.
    const file = readCase('sparse_v32');
    const cache = file.get<'u8'>('k_cache');
    const bytes = hostTensor('u8', [8, 64, 1, 656], cache.data);
    const values = dequantizeKvCache(bytes, 'v32');
    const again = dequantizeKvCache(quantizeKvCache(values, 'v32'), 'v32');
    let compared = 0;
    for (let i = 0; i < values.data.length; i++) {
      const value = decodeBf16(values.data[i] as number);
      if (Number.isNaN(value)) continue;
      compared++;
      expect(again.data[i]).toBe(values.data[i]);
    }
    expect(compared).toBeGreaterThan(8 * 64);
  });
});
