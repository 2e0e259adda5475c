import { OutOfMemoryError } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { Heap } from './heap.ts';

class FakeMemory {
  memoryBytes = 65536;
  issued = 0;
  retired = 0;
  readonly limit: number;

  constructor(limit = 2 ** 22) {
    this.limit = limit;
  }

  reserve(byteLength: number): boolean {
    const rounded = Math.ceil(byteLength / 65536) * 65536;
    if (rounded > this.limit) return false;
    this.memoryBytes = Math.max(this.memoryBytes, rounded);
    return true;
  }
}

describe('Heap', () => {
  it('aligns to cache lines and keeps what was asked for', () => {
    const heap = new Heap(new FakeMemory(), 65536);
    const a = heap.allocate(1);
    const b = heap.allocate(0);
    expect([a.byteLength, a.address % 64, b.address - a.address]).toEqual([1, 0, 64]);
  });

  it('reuses memory only once the work that was pending at its release is done', () => {
    const memory = new FakeMemory(65536 + 2 ** 20);
    const heap = new Heap(memory, 65536);
    const first = heap.allocate(2 ** 20);
    memory.issued = 5;
    memory.retired = 4;
    heap.release(first);
    expect(() => heap.allocate(64)).toThrow(OutOfMemoryError);
    memory.retired = 5;
    heap.collect();
    expect(heap.allocate(2 ** 20).address).toBe(first.address);
  });

  it('reuses at once what no work uses', () => {
    const heap = new Heap(new FakeMemory(), 65536);
    const first = heap.allocate(1000);
    heap.release(first);
    expect(heap.allocate(1000).address).toBe(first.address);
  });

  it('says what was asked for and what is free when memory ends', () => {
    const heap = new Heap(new FakeMemory(65536 + 2 ** 20), 65536);
    heap.allocate(2 ** 19);
    try {
      heap.allocate(2 ** 20);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(OutOfMemoryError);
      expect(error).toMatchObject({ requested: 2 ** 20, available: 2 ** 19 });
    }
    // The failure took nothing.
    heap.allocate(2 ** 19);
  });
});
