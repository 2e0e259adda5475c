import { describe, expect, it } from 'vitest';
import { field } from '../index.ts';
import { runKernel } from '../testing/run.ts';

describe('counters', () => {
  it('count instructions by kind, for warps and threads', () => {
    const { counters } = runKernel({ threads: 64, grid: 2 }, (k) => {
      k.if(k.laneId.lt(8), () => k.params.out.at(k.laneId).store(1));
    });
    expect(counters.byKind).toMatchObject({ store: 4 });
    const { counters: more } = runKernel({ threads: 64, grid: 2 }, (k) => {
      k.if(k.laneId.lt(8), () => {
        k.params.out.at(k.laneId).store(1);
        k.params.out.at(k.laneId).at(8).store(1);
      });
    });
    // One store and one address more per warp, for 8 lanes each.
    expect(more.warpInstructions - counters.warpInstructions).toBe(8);
    expect(more.threadInstructions - counters.threadInstructions).toBe(64);
  });

  it('count bytes and sectors of global memory', () => {
    const stride = (n: number) =>
      runKernel({}, (k) => k.params.out.at(k.laneId).store(k.params.x.at(k.laneId.mul(n)).load()))
        .counters;
    expect(stride(1)).toMatchObject({
      globalLoadBytes: 128,
      globalStoreBytes: 128,
      globalSectors: 8,
    });
    expect(stride(8).globalSectors).toBe(36);
    expect(stride(0).globalSectors).toBe(5);
  });

  const shared = { s: field('u32', [1024]) };
  const passes = (words: 1 | 2 | 4, stride: number) => {
    const { counters } = runKernel({ shared }, (k) => {
      const at = k.shared.s.at(k.laneId.mul(stride));
      at.storeVec(new Array<number>(words).fill(1));
    });
    return [counters.sharedPasses, counters.sharedConflicts];
  };

  it('count bank conflicts', () => {
    expect(passes(1, 1)).toEqual([1, 0]);
    expect(passes(1, 2)).toEqual([2, 1]);
    expect(passes(1, 32)).toEqual([32, 31]);
    expect(passes(1, 0)).toEqual([1, 0]);
    expect(passes(2, 2)).toEqual([2, 0]);
    expect(passes(4, 4)).toEqual([4, 0]);
    // Eight lanes at a distance of 32 words meet in the same four banks.
    expect(passes(4, 32)).toEqual([32, 28]);
  });

  it('show that a swizzle removes the conflicts of ldmatrix', () => {
    const conflicts = (swizzle: boolean) =>
      runKernel(
        { shared: { t: field('bf16', [32, 64], swizzle ? { swizzle: '128B' } : {}) } },
        (k) => {
          const row = k.shared.t.row(k.laneId);
          for (let c = 0; c < 64; c += 8) row.at(c).as('b32').storeVec([0, 0, 0, 0]);
          k.syncWarp();
          k.ldmatrix(row.at(0), 4);
        },
      ).counters.sharedConflicts;
    expect(conflicts(true)).toBe(0);
    expect(conflicts(false)).toBe(8 * 28 + 28);
  });
});
