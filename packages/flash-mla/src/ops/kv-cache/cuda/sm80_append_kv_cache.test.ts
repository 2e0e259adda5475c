import { dtypeSize } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, SimContext } from '../../kernel-lib/cuda/testing/sim-context.ts';
import { appendKvCache as appendReference, hostTensor } from '../../reference.ts';
import type { AppendProblem } from './problems.ts';
import { portableAppend } from './sm80_append_kv_cache_launch.ts';

interface Case {
  readonly layout: AppendProblem['layout'];
  readonly dtype?: 'bf16' | 'f16' | 'e4m3';
  readonly gpu: 'a100' | 'h200';
  readonly heads?: number;
  readonly columns?: number;
  /** Elements between the first byte of the memory and the cache, the rows. */
  readonly shift?: number;
  readonly long?: boolean;
}

function bytesOf(count: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
}

describe('rows that are appended in the simulator', () => {
  it.each<Case>([
    { layout: 'v32', gpu: 'h200' },
    { layout: 'v32', gpu: 'a100', shift: 1, long: true },
    { layout: 'model1', gpu: 'h200', shift: 2 },
    { layout: 'model1', gpu: 'a100' },
    { layout: 'plain', gpu: 'h200' },
    { layout: 'plain', gpu: 'a100', columns: 40, heads: 3, shift: 1, long: true },
    { layout: 'plain', gpu: 'h200', dtype: 'e4m3', columns: 2300 },
    { layout: 'plain', gpu: 'h200', dtype: 'e4m3', columns: 37, heads: 2, shift: 1 },
    { layout: 'plain', gpu: 'a100', dtype: 'f16', columns: 900, shift: 2 },
  ])('are where the reference puts them: %o', (options) => {
    const { layout, gpu, dtype = 'bf16', heads = 1, shift = 0, long = false } = options;
    const context = new SimContext(limitsFor(gpu));
    const packed = layout === 'plain' ? undefined : packedRows[layout];
    const columns = packed?.headDimQk ?? options.columns ?? 576;
    const width = packed?.rowBytes ?? columns;
    const cacheDtype = packed ? 'u8' : dtype;
    const [blocks, page, n] = [3, 5, 10];
    const list = [14, -1, 3, 15, 0, 2 ** 31 - 1, 7, -(2 ** 31), 9, 1];
    const slots = long
      ? hostTensor(
          'i64',
          [n],
          BigInt64Array.from(list, (slot) => BigInt(slot) * (slot < 0 ? 7n : 1n)),
        )
      : hostTensor('i32', [n], Int32Array.from(list));

    const shape = [blocks, page, heads, width];
    const size = dtypeSize(cacheDtype);
    const head = width + (packed ? 0 : shift);
    const token = head * heads;
    const block = page * token + (packed ? 16 : shift);
    const begin = (packed ? 16 : shift) * size;
    const memory = new Uint8Array(begin + blocks * block * size).fill(0xaa);
    const storage = (bytes: Uint8Array<ArrayBuffer>, of: typeof cacheDtype) =>
      of === 'bf16' || of === 'f16' ? new Uint16Array(bytes.buffer) : bytes;
    const strides = [block, token, head, 1];
    const kCache = context.tensor(cacheDtype, shape, storage(memory, cacheDtype), {
      strides,
      byteOffset: begin,
    });
    const rowSize = dtypeSize(dtype);
    const rowStride = heads * columns + shift;
    const rowBytes = bytesOf((shift + n * rowStride) * rowSize, columns);
    // What is packed is finite: the reference does not keep the bits of a NaN.
    if (packed)
      for (let i = 1; i < rowBytes.length; i += 2) rowBytes[i] = (rowBytes[i] ?? 0) & 0xbf;
    const rows = context.tensor(dtype, [n, heads, columns], storage(rowBytes, dtype), {
      strides: [rowStride, columns, 1],
      byteOffset: shift * rowSize,
    });
    const args = { layout, rows, kCache, slots: context.tensor(slots.dtype, [n], slots.data) };
    context.run(portableAppend, args);

    const dense = new Uint8Array(n * heads * columns * rowSize);
    for (let i = 0; i < n; i++) {
      const at = (shift + i * rowStride) * rowSize;
      const length = heads * columns * rowSize;
      dense.set(rowBytes.subarray(at, at + length), i * length);
    }
    const before = new Uint8Array(blocks * page * heads * width * size).fill(0xaa);
    const expected = appendReference({
      layout,
      kCache: hostTensor(cacheDtype, shape, storage(before, cacheDtype) as never),
      rows: hostTensor(dtype, [n, heads, columns], storage(dense, dtype) as never),
      slots,
    });
    const wanted = new Uint8Array(memory.length).fill(0xaa);
    const result = new Uint8Array(expected.data.buffer);
    for (let i = 0; i < result.length; i++) {
      const element = Math.floor(i / size);
      const [row, c] = [Math.floor(element / width), element % width];
      const [t, h] = [Math.floor(row / heads), row % heads];
      const at = Math.floor(t / page) * block + (t % page) * token + h * head + c;
      wanted[begin + at * size + (i % size)] = result[i] as number;
    }
    expect(Buffer.compare(context.read(kCache), wanted)).toBe(0);
  });
});

describe('appending as machine code', () => {
  const launch = (
    layout: AppendProblem['layout'],
    alignment: number,
    more: Partial<AppendProblem> = {},
  ) => ({
    name: `${layout} ${Object.values(more).join(' ')}, multiples of ${alignment}`,
    launch: () => {
      const problem: AppendProblem = {
        ...{ layout, rowDtype: 'bf16', numRows: 128, numHeads: 1, slotBytes: 4 },
        columns: layout === 'model1' ? 512 : 576,
        ...{ numBlocks: 100, pageSize: 64 },
        rows: { strides: [576, 0], alignment },
        kCache: { strides: [64 * 656, 656, 0], alignment: Math.max(8, alignment) },
        ...more,
      };
      return portableAppend.plan(problem).launches.main;
    },
  });
  itAssembles([
    launch('v32', 16),
    launch('v32', 2, { slotBytes: 8 }),
    launch('model1', 16),
    launch('plain', 16),
    launch('plain', 1, { numHeads: 3, columns: 111, rowDtype: 'e4m3' }),
  ]);
});
