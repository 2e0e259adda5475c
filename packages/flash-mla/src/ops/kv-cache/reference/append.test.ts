import { encodeBf16, hostTensor, InvalidArgumentError } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { appendKvCache } from './append.ts';
import { quantizeKvCache } from './quantize.ts';

const i32 = (...slots: number[]) => hostTensor('i32', [slots.length], Int32Array.from(slots));

describe('appending', () => {
  it('copies rows to their slots and skips the others', () => {
    const kCache = hostTensor('f16', [2, 3, 2, 2], new Uint16Array(24).fill(9));
    const data = Uint16Array.from({ length: 20 }, (_, i) => 100 + i);
    const rows = hostTensor('f16', [5, 2, 2], data);
    const slots = i32(4, -1, 0, 6, -(2 ** 31));
    const { data: after } = appendKvCache({ layout: 'plain', kCache, rows, slots });
    const nine = [9, 9, 9, 9];
    expect([...after]).toEqual([
      108,
      109,
      110,
      111,
      ...nine,
      ...nine,
      ...nine,
      100,
      101,
      102,
      103,
      ...nine,
    ]);
    expect(kCache.data[0]).toBe(9);
  });

  it('takes slots of 64 bits', () => {
    const kCache = hostTensor('e4m3', [1, 2, 1, 1], Uint8Array.of(1, 2));
    const rows = hostTensor('e4m3', [3, 1, 1], Uint8Array.of(7, 8, 9));
    const slots = hostTensor('i64', [3], BigInt64Array.of(2n ** 32n, 1n, -(2n ** 40n)));
    const { data } = appendKvCache({ layout: 'plain', kCache, rows, slots });
    expect([...data]).toEqual([1, 8]);
  });

  it.each(['v32', 'model1'] as const)('%s: packs as quantizing the whole cache does', (layout) => {
    const dQk = layout === 'v32' ? 576 : 512;
    const [blocks, page] = [2, 3];
    const data = Uint16Array.from({ length: blocks * page * dQk }, (_, i) =>
      encodeBf16(Math.sin(i) * 2 ** (i % 17)),
    );
    const whole = quantizeKvCache(hostTensor('bf16', [blocks, page, 1, dQk], data), layout);
    const kCache = { ...whole, data: new Uint8Array(whole.data.length) };
    const rows = hostTensor('bf16', [blocks * page, 1, dQk], data);
    const slots = i32(0, 1, 2, 3, 4, 5);
    expect(appendKvCache({ layout, kCache, rows, slots }).data).toEqual(whole.data);
  });

  it('refuses rows that do not fit', () => {
    const kCache = hostTensor('bf16', [1, 2, 1, 4], new Uint16Array(8));
    const rows = hostTensor('bf16', [1, 1, 3], new Uint16Array(3));
    expect(() => appendKvCache({ layout: 'plain', kCache, rows, slots: i32(0) })).toThrow(
      InvalidArgumentError,
    );
  });
});
