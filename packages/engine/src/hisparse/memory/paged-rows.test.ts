import { describe, expect, it } from 'vitest';
import { EngineOptionError } from '../../errors.ts';
import { HiSparseError } from '../errors.ts';
import type { HostMemory } from './host-memory.ts';
import { HotBuffers, hotBufferTableBytes } from './hot-buffers.ts';
import { copyPages, PagedRows } from './paged-rows.ts';

const shape = { numLayers: 2, numPages: 3, pageSize: 4, rowBytes: 16 };

describe('a pool of rows', () => {
  it('has a memory for each layer', () => {
    const pool = new PagedRows(shape);
    pool.row(1, 5).fill(7);
    expect(pool.layer(1).indexOf(7)).toBe(5 * 16);
    expect(pool.page(1, 1).lastIndexOf(7)).toBe(2 * 16 - 1);
    expect(pool.layer(0).some((byte) => byte !== 0)).toBe(false);
  });

  it('copies whole pages of all layers, both ways', () => {
    const [device, host] = [new PagedRows(shape), new PagedRows(shape)];
    for (let layer = 0; layer < 2; layer++) device.page(layer, 2).fill(10 + layer);
    const pools = { device, host };
    expect(copyPages('store', [{ devicePage: 2, hostPage: 1 }], pools)).toBe(2 * 64);
    expect([...host.page(1, 1)]).toEqual(new Array(64).fill(11));
    expect([...host.page(1, 2)]).toEqual(new Array(64).fill(0));
    copyPages('load', [{ devicePage: 0, hostPage: 1 }], pools);
    expect([...device.page(0, 0)]).toEqual(new Array(64).fill(10));
  });

  it.each([
    ['page', (pool: PagedRows) => pool.page(0, 3)],
    ['page', (pool: PagedRows) => pool.page(0, -1)],
    ['row', (pool: PagedRows) => pool.row(0, 12)],
    ['layer', (pool: PagedRows) => pool.layer(2)],
  ])('has no %s beyond its end', (_, access) => {
    expect(() => access(new PagedRows(shape))).toThrow(HiSparseError);
  });

  it('gives back what it has when there is too little', () => {
    const given: HostMemory[] = [];
    let disposed = 0;
    const allocate = (bytes: number) => {
      if (given.length === 1) throw new RangeError('Array buffer allocation failed');
      const memory = { bytes: new Uint8Array(bytes), dispose: () => disposed++ };
      given.push(memory);
      return memory;
    };
    const open = () => new PagedRows(shape, allocate);
    expect(open).toThrow('expected 2 layers of 192 bytes, got 1 of them');
    expect(disposed).toBe(1);
    expect(open).toThrow(EngineOptionError);
    expect(() => new PagedRows({ ...shape, rowBytes: 584 })).toThrow('a multiple of 16');
  });
});

describe('the books of hot buffers', () => {
  const buffers = new HotBuffers({
    sizes: { topK: 4, bufferSize: 8, pageSize: 4 },
    ...{ maxRunning: 2, maxModelLength: 20, numIndexLayers: 2 },
    ...{ numHostPages: 30, numDevicePages: 20 },
  });

  it('say where a token lies', () => {
    buffers.start(1);
    buffers.decode(1, [9, 8, 7], [3, 5, 4]);
    expect([0, 7, 8, 11].map((position) => buffers.deviceRowOf(1, position))).toEqual([
      12, 23, 16, 16,
    ]);
    expect([0, 7, 8, 11].map((position) => buffers.hostRowOf(1, position))).toEqual([
      36, 35, 28, 31,
    ]);
  });

  it('know no pages after a start, nor beyond a sequence', () => {
    expect(() => buffers.hostRowOf(1, 12)).toThrow(HiSparseError);
    buffers.start(1);
    expect(() => buffers.deviceRowOf(1, 0)).toThrow(HiSparseError);
    expect(() => buffers.decode(0, [1, 2, 3, 4, 5, 6], [])).toThrow(HiSparseError);
    expect(() => buffers.decode(0, [], [1, 2, 3, 4])).toThrow(HiSparseError);
  });

  it('take so much of the device', () => {
    const { tables, layers, shape: own } = buffers;
    const arrays = layers.flatMap(({ slotTokens, lruOrder }) => [slotTokens, lruOrder]);
    const all = [tables.hostPages, tables.bufferPages, ...arrays];
    const bytes = all.reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(hotBufferTableBytes(own)).toBe(bytes);
  });
});
