import { decodeBf16, decodeE4m3, encodeBf16 } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import {
  decodePackedRow,
  encodePackedRow,
  packedLayouts,
} from '../../kv-cache/reference/packed-rows.ts';

const codes = Array.from({ length: 256 }, (_, code) => decodeE4m3(code)).filter(Number.isFinite);
const roundingError = (value: number) => Math.abs(decodeBf16(encodeBf16(value)) - value);

/** A row of one value through packing and back. */
function throughPacking(layout: keyof typeof packedLayouts, value: number): number {
  const packed = packedLayouts[layout];
  const row = new Float64Array(packed.headDimQk).fill(value);
  const block = new Uint8Array(packed.rowBytes);
  encodePackedRow(packed, row, block, 1, 0);
  decodePackedRow(packed, block, 1, 0, row, 0);
  return row[0] as number;
}

// docs/packed-rows.md and the TSDoc of PackedKvLayout say so.
describe('what packed rows mean', () => {
  it('is a bf16 number where the scale is a power of two from 2^-117 to 2^119', () => {
    const isExact = (exponent: number) =>
      codes.every((code) => roundingError(code * 2 ** exponent) === 0);
    for (let exponent = -117; exponent <= 119; exponent++) expect(isExact(exponent)).toBe(true);
    expect(isExact(120)).toBe(false);
  });

  it('is within 2^-8 of one where it is not', () => {
    let worst = 0;
    for (let i = 1; i < 1000; i++) {
      for (const code of codes.filter((value) => value !== 0)) {
        const value = code * Math.fround(i / 448e3);
        worst = Math.max(worst, roundingError(value) / Math.abs(value));
      }
    }
    expect(worst).toBeGreaterThan(2 ** -8.1);
    expect(worst).toBeLessThanOrEqual(2 ** -8);
  });

  it.each(['v32', 'model1'] as const)('%s: has the floor of the scale', (layout) => {
    // Relative error up to 1/16 from 2^-19 on, multiples of 2^-22 below, 0 up to 2^-23.
    expect(Math.abs(throughPacking(layout, 1.06 * 2 ** -19) / (1.06 * 2 ** -19) - 1)).toBeLessThan(
      1 / 16,
    );
    expect(throughPacking(layout, 2.6 * 2 ** -22)).toBe(3 * 2 ** -22);
    expect(throughPacking(layout, 2 ** -23)).toBe(0);
    expect(throughPacking(layout, 1.01 * 2 ** -23)).toBe(2 ** -22);
  });
});
