import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineKernel } from '../builder/kernel.ts';
import { global } from '../layout/params.ts';
import { Footprint } from './footprint.ts';
import { SimMemory } from './memory.ts';
import { simulate } from './simulate.ts';

const memory = { base: 2 ** 40, size: 2 ** 20 };

describe('a footprint', () => {
  it('overlaps another in the bytes that both touch and one writes', () => {
    const range = fc.record({
      offset: fc.integer({ min: 16_370, max: 16_400 }),
      size: fc.integer({ min: 1, max: 20 }),
      write: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(range, { maxLength: 4 }), fc.array(range, { maxLength: 4 }), (a, b) => {
        const [mine, theirs] = [a, b].map((ranges) => {
          const footprint = new Footprint();
          for (const { offset, size, write } of ranges) {
            footprint[write ? 'write' : 'read'](memory, offset, size);
          }
          return footprint;
        }) as [Footprint, Footprint];
        const touches = (ranges: typeof a, byte: number, writes: boolean) =>
          ranges.some(
            ({ offset, size, write }) =>
              byte >= offset && byte < offset + size && (write || !writes),
          );
        const clashes = Array.from({ length: 60 }, (_, i) => 16_370 + i).filter(
          (byte) =>
            (touches(a, byte, true) && touches(b, byte, false)) ||
            (touches(b, byte, true) && touches(a, byte, false)),
        );
        const found = mine.overlap(theirs);
        expect(found?.offset).toBe(clashes[0]);
        if (found === undefined) return;
        expect(found.writes).toEqual([
          touches(a, found.offset, true),
          touches(b, found.offset, true),
        ]);
      }),
    );
  });

  it('keeps memories apart', () => {
    const [a, b] = [new Footprint(), new Footprint()];
    a.write(memory, 0, 4);
    b.write({ ...memory }, 0, 4);
    expect(a.overlap(b)).toBeUndefined();
  });

  it('is learnt from a launch', () => {
    const kernel = defineKernel(
      { name: 'shift', params: { from: global('u32'), to: global('u32') }, block: [32] },
      (k, { from, to }) => to.at(k.threadIdx.x).store(from.at(k.threadIdx.x.add(1)).load()),
    );
    const device = new SimMemory();
    const from = device.allocFrom(new Uint32Array(33));
    const to = device.alloc(128);
    const footprint = new Footprint();
    simulate(kernel, { grid: [1], memory: device, params: { from, to }, footprint });
    const overlapOf = (how: 'read' | 'write', address: bigint, offset: number) => {
      const other = new Footprint();
      device.locate(address, 1, (allocation) => other[how](allocation, offset, 4));
      return footprint.overlap(other)?.writes;
    };
    expect(overlapOf('write', from, 0)).toBeUndefined();
    expect(overlapOf('read', from, 4)).toBeUndefined();
    expect(overlapOf('write', from, 4)).toEqual([false, true]);
    expect(overlapOf('read', to, 124)).toEqual([true, false]);
  });
});
