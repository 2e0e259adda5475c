import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DevicePool } from './device-pool.ts';
import { ExactPool } from './exact-pool.ts';

const mebi = 2 ** 20;

/** A source that knows what is out. */
function source() {
  const blocks = new Map<number, number>();
  let next = 2 ** 40;
  return {
    blocks,
    get total() {
      return [...blocks.values()].reduce((sum, bytes) => sum + bytes, 0);
    },
    allocate(bytes: number) {
      const address = next;
      next += bytes + mebi;
      blocks.set(address, bytes);
      return address;
    },
    free(address: number) {
      if (!blocks.delete(address)) throw new Error(`${address} was not allocated`);
    },
  };
}

describe('the caching pool', () => {
  it('hands a small block out again and cuts small blocks from one slab', () => {
    const memory = source();
    const pool = new DevicePool(memory);
    const first = pool.take(1000);
    const second = pool.take(1000);
    expect(memory.blocks.size).toBe(1);
    expect(second.address - first.address).toBe(1024);
    pool.give(first);
    expect(pool.take(1024).address).toBe(first.address);
  });

  it('hands a large block out again for nearly its size, not for much less', () => {
    const memory = source();
    const pool = new DevicePool(memory);
    const block = pool.take(100 * mebi);
    pool.give(block);
    expect(pool.take(60 * mebi).address).not.toBe(block.address);
    expect(pool.take(99 * mebi).address).toBe(block.address);
  });

  it('trims what is free and keeps what is taken', () => {
    const memory = source();
    const pool = new DevicePool(memory);
    const kept = pool.take(100);
    const small = pool.take(mebi);
    const large = pool.take(8 * mebi);
    pool.give(small);
    pool.give(large);
    pool.trim();
    expect(memory.total).toBe(2 * mebi);
    expect(pool.reserved).toBe(memory.total);
    pool.give(kept);
    pool.trim();
    expect(memory.blocks.size).toBe(0);
    expect(pool.reserved).toBe(0);
  });

  it('hands over its memory, whatever is still taken', () => {
    const memory = source();
    const main = new DevicePool(memory);
    const graph = new DevicePool(memory);
    const free = graph.take(4 * mebi);
    const taken = graph.take(8 * mebi);
    graph.give(free);
    graph.mergeInto(main);
    expect(main.take(4 * mebi).address).toBe(free.address);
    graph.give(taken);
    expect(main.take(8 * mebi).address).toBe(taken.address);
    main.destroy();
    expect(memory.blocks.size).toBe(0);
  });

  it('never hands out overlapping blocks, and accounts for every byte', () => {
    const action = fc.oneof(
      { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 0, max: 6 * mebi }) }) },
      { weight: 2, arbitrary: fc.record({ give: fc.nat() }) },
      { weight: 1, arbitrary: fc.constant({ trim: true }) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const memory = source();
        const pool = new DevicePool(memory);
        const live: ReturnType<DevicePool['take']>[] = [];
        for (const step of actions) {
          if ('take' in step) {
            const block = pool.take(step.take);
            expect(block.bytes).toBeGreaterThanOrEqual(step.take);
            expect(block.address % 512).toBe(0);
            for (const other of live) {
              const apart =
                block.address + block.bytes <= other.address ||
                other.address + other.bytes <= block.address;
              expect(apart).toBe(true);
            }
            live.push(block);
          } else if ('give' in step && live.length > 0) {
            const [block] = live.splice(step.give % live.length, 1);
            if (block) pool.give(block);
          } else if ('trim' in step) {
            pool.trim();
          }
          expect(pool.reserved).toBe(memory.total);
        }
        for (const block of live) pool.give(block);
        pool.trim();
        expect(memory.blocks.size).toBe(0);
      }),
      { numRuns: 200, seed: 3 },
    );
  });
});

describe('the exact pool', () => {
  it('allocates and frees what it is asked for', () => {
    const memory = source();
    const pool = new ExactPool(memory, false);
    const block = pool.take(1001);
    expect(memory.total).toBe(1001);
    pool.give(block);
    expect(memory.blocks.size).toBe(0);
  });

  it('keeps what a graph uses until it is handed over', () => {
    const memory = source();
    const main = new ExactPool(memory, false);
    const graph = new ExactPool(memory, true);
    graph.give(graph.take(64));
    const late = graph.take(32);
    expect(memory.blocks.size).toBe(2);
    graph.mergeInto(main);
    expect(memory.total).toBe(32);
    graph.give(late);
    expect(memory.blocks.size).toBe(0);
    expect(main.reserved).toBe(0);
  });
});
