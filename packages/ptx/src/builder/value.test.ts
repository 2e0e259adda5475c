import { describe, expect, it } from 'vitest';
import { defineKernel, emitPtx, global, SimMemory, simulate } from '../index.ts';

describe('division by a constant', () => {
  const numbers = Uint32Array.of(0, 1, 63, 64, 65, 12_345, 2 ** 31 + 5, 2 ** 32 - 1);
  const quotients = (divisor: number) =>
    defineKernel(
      {
        name: 'quotients',
        params: { numbers: global('u32'), results: global('u32') },
        block: [numbers.length],
      },
      (k, { numbers, results }) => {
        const i = k.threadIdx.x;
        const x = numbers.at(i).load();
        results.at(i.shl(1)).storeVec([x.div(divisor), x.rem(divisor)]);
      },
    );

  it.each([1, 2, 64, 2 ** 31, 61, 48])('by %i', (divisor) => {
    const memory = new SimMemory();
    const results = memory.alloc(8 * numbers.length);
    const kernel = quotients(divisor);
    simulate(kernel, {
      grid: [1],
      params: { numbers: memory.allocFrom(numbers), results },
      memory,
      target: 'sm_80',
    });
    const found = new Uint32Array(memory.read(results, 8 * numbers.length).buffer);
    expect([...found]).toEqual([...numbers].flatMap((x) => [Math.floor(x / divisor), x % divisor]));
    const shifts = divisor > 1 && Number.isInteger(Math.log2(divisor));
    expect(/\b(div|rem)\.u32/.test(emitPtx(kernel, 'sm_80'))).toBe(!shifts);
  });
});
