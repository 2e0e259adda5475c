import { describe, expect, it } from 'vitest';
import { planSchedule, tilesPerRequest } from './plan.ts';

const problem = {
  kind: 'dense',
  batch: 4,
  seqLenQ: 1,
  numHeadsQ: 128,
  numHeadsKv: 1,
  headDimQk: 576,
  headDimV: 512,
  isFp8: false,
  deterministic: false,
} as const;

describe('planSchedule', () => {
  it('makes several parts for each thread', () => {
    expect(planSchedule(problem, 2, 64)).toEqual({
      numParts: 8,
      blockTokens: 64,
      overheadBlocks: 1,
      splitBlocks: 0,
    });
  });

  it('makes fewer parts where the tiles of a request already share out the work', () => {
    expect(planSchedule({ ...problem, seqLenQ: 64 }, 2, 64).numParts).toBe(1);
    expect(planSchedule({ ...problem, numHeadsKv: 4 }, 2, 64).numParts).toBe(2);
    const sparse = { ...problem, kind: 'sparse', seqLenQ: 4 } as const;
    expect(planSchedule(sparse, 2, 64).numParts).toBe(2);
  });

  it('fixes the length of a split in the deterministic mode, whatever the batch', () => {
    const deterministic = { ...problem, deterministic: true };
    expect(planSchedule(deterministic, 2, 64).splitBlocks).toBe(16);
    expect(planSchedule({ ...deterministic, batch: 1 }, 8, 64).splitBlocks).toBe(16);
  });

  it('counts the tiles of all KV heads, and of each query where they have keys of their own', () => {
    expect(tilesPerRequest({ ...problem, numHeadsKv: 2, seqLenQ: 3 })).toBe(4);
    expect(tilesPerRequest({ ...problem, kind: 'sparse', seqLenQ: 3 })).toBe(3);
  });
});
