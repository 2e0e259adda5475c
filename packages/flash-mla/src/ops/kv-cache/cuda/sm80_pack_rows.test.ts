import { decodeBf16, encodeBf16 } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import {
  limitsFor,
  SimContext,
  type testLimits,
} from '../../kernel-lib/cuda/testing/sim-context.ts';
import {
  dequantizeKvCache as dequantizeReference,
  hostTensor,
  quantizeKvCache as quantizeReference,
} from '../../reference.ts';
import { portableDequantize, portableQuantize } from './sm80_pack_rows_launch.ts';

type Layout = 'v32' | 'model1';
type Gpu = keyof typeof testLimits;

function randomBytes(count: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
}

/** Ordinary rows, zeros, tiny and huge ones, exact ties, infinities, NaN of either sign, any bits. */
function rows(blocks: number, page: number, dQk: number): Uint16Array<ArrayBuffer> {
  const bytes = randomBytes(2 * blocks * page * dQk, dQk + page);
  const data = new Uint16Array(bytes.buffer);
  for (let row = 0; row < blocks * page; row++) {
    const kind = row % 8;
    const codes = data.subarray(row * dQk, (row + 1) * dQk);
    const spread = [1, 0, 1e-6, 1e30, 300, 0.01, 2 ** -133, undefined][kind];
    if (spread !== undefined) {
      codes.forEach((code, i) => {
        codes[i] = encodeBf16((code / 32768 - 1) * spread);
      });
    } else {
      codes.forEach((code, i) => {
        // Any bits but those of infinity and NaN.
        if ((code & 0x7f80) === 0x7f80) codes[i] = code & 0xff7f;
      });
    }
    if (kind === 0) codes[5] = encodeBf16(448);
    if (kind === 1) codes[6] = 0x8000;
    if (kind === 3) codes[200] = row % 16 === 3 ? 0xff80 : 0x7f7f;
    if (kind === 4) codes[70] = row % 16 === 4 ? 0x7fc0 : 0xffc1;
    if (kind === 5) codes[130] = encodeBf16(2 ** -9 * 3.5);
  }
  return data;
}

/** A packed cache whose blocks (and `v32` rows) may lie apart, filled with a pattern. */
function packedView(context: SimContext, layout: Layout, shape: number[], apart: boolean) {
  const [blocks, page] = shape;
  const { rowBytes } = packedRows[layout];
  const rowStride = layout === 'v32' && apart ? rowBytes + 48 : rowBytes;
  const blockStride = page * rowStride + (apart ? (layout === 'v32' ? 32 : 8) : 0);
  const strides = [blockStride, rowStride, rowStride, 1];
  const byteOffset = apart ? (layout === 'v32' ? 16 : 8) : 0;
  const bytes = new Uint8Array(blocks * blockStride + byteOffset).fill(0xaa);
  const view = context.tensor('u8', [blocks, page, 1, rowBytes], bytes, { strides, byteOffset });
  /** The rows of a packed cache without gaps ↔ those of this one, by byte. */
  const eachByte = (visit: (dense: number, here: number) => void) => {
    for (let b = 0; b < blocks; b++) {
      for (let i = 0; i < page * rowBytes; i++) {
        const inRow = Math.floor(i / rowBytes) * rowStride + (i % rowBytes);
        visit(b * page * rowBytes + i, byteOffset + b * blockStride + inRow);
      }
    }
  };
  return { view, eachByte };
}

function viewOfRows(context: SimContext, shape: number[], data: Uint16Array, shift: number) {
  const shifted = new Uint16Array(data.length + shift);
  shifted.set(data, shift);
  return context.tensor('bf16', shape, shifted, { byteOffset: 2 * shift });
}

function bf16Of(context: SimContext, view: TensorView): Uint16Array {
  return new Uint16Array(context.read(view).buffer).subarray(view.byteOffset / 2);
}

const cases: { layout: Layout; gpu: Gpu; page: number; apart: boolean; shift: number }[] = [
  { layout: 'v32', gpu: 'a100', page: 16, apart: false, shift: 0 },
  { layout: 'v32', gpu: 'h200', page: 9, apart: true, shift: 0 },
  { layout: 'v32', gpu: 'h200', page: 1, apart: true, shift: 1 },
  { layout: 'model1', gpu: 'a100', page: 16, apart: true, shift: 4 },
  { layout: 'model1', gpu: 'h200', page: 16, apart: false, shift: 0 },
  { layout: 'model1', gpu: 'h200', page: 7, apart: true, shift: 2 },
];

describe('FP8 rows in the simulator', () => {
  it.each(cases)('are packed as the reference packs them: %o', (options) => {
    const { layout, gpu, page, apart, shift } = options;
    const context = new SimContext(limitsFor(gpu));
    const shape = [Math.ceil(34 / page), page, 1, packedRows[layout].headDimQk];
    const data = rows(shape[0], page, shape[3]);
    const source = viewOfRows(context, shape, data, shift);
    const { view: target, eachByte } = packedView(context, layout, shape, apart);
    const expected = quantizeReference(hostTensor('bf16', shape, data), layout).data;

    const args = { layout, source, target };
    context.run(portableQuantize, args);

    const actual = context.read(target);
    const untouched = new Set(actual.keys());
    eachByte((dense, here) => {
      untouched.delete(here);
      if (actual[here] === expected[dense]) return;
      throw new Error(`byte ${dense}: ${actual[here]}, expected ${expected[dense]}`);
    });
    for (const gap of untouched) expect(actual[gap]).toBe(0xaa);
  });

  it.each(cases)('are unpacked as the reference unpacks them: %o', (options) => {
    const { layout, gpu, page, apart, shift } = options;
    const context = new SimContext(limitsFor(gpu));
    const { headDimQk, rowBytes } = packedRows[layout];
    const shape = [Math.ceil(34 / page), page, 1, rowBytes];
    const bytes = randomBytes(shape[0] * page * rowBytes, page);
    const { view: source, eachByte } = packedView(context, layout, shape, apart);
    const packed = context.read(source);
    eachByte((dense, here) => {
      packed[here] = bytes[dense];
    });
    const { address } = source.buffer as unknown as { address: number };
    context.memory.write(address, packed);
    const rowShape = [shape[0], page, 1, headDimQk];
    const count = shape[0] * page * headDimQk;
    const target = viewOfRows(context, rowShape, new Uint16Array(count), shift);
    const expected = dequantizeReference(hostTensor('u8', shape, bytes), layout).data;

    const args = { layout, source, target };
    context.run(portableDequantize, args);

    const isNan = (code: number) => Number.isNaN(decodeBf16(code));
    bf16Of(context, target).forEach((code, i) => {
      if (code === expected[i] || (isNan(code) && isNan(expected[i]))) return;
      throw new Error(`element ${i}: ${decodeBf16(code)}, expected ${decodeBf16(expected[i])}`);
    });
  });
});

describe('FP8 rows as machine code', () => {
  const operations = { quantizeKvCache: portableQuantize, dequantizeKvCache: portableDequantize };
  itAssembles(
    (['v32', 'model1'] as const).flatMap((layout) =>
      [16, 2].flatMap((alignment) =>
        Object.entries(operations).map(([name, operation]) => ({
          name: `${name} ${layout}, rows at multiples of ${alignment}`,
          launch: () => {
            const packed = { strides: [656, 656], alignment: layout === 'v32' ? 16 : 8 };
            const rows = { strides: [576, 576], alignment };
            const shape = { numBlocks: 1, pageSize: 1, headDimQk: packedRows[layout].headDimQk };
            const problem = { layout, ...shape, packed, rows };
            return operation.plan(problem).launches.main;
          },
        })),
      ),
    ),
  );
});
