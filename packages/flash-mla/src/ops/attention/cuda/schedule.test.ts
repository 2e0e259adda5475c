import { describe, expect, it } from 'vitest';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import type { ScheduleProblem } from '../schedule-contract.ts';
import { planSchedule } from './schedule.ts';

const limits = { smCount: 132 } as DeviceLimits;
const tiling = { rowsPerTile: 64, ctasPerSm: 1 };
const dense: ScheduleProblem = {
  kind: 'dense',
  batch: 128,
  seqLenQ: 1,
  numHeadsQ: 128,
  numHeadsKv: 1,
  headDimQk: 576,
  headDimV: 512,
  isFp8: false,
  maxSeqLenK: 8192,
  deterministic: false,
};
const parts = (problem: Partial<ScheduleProblem>, tile = tiling) =>
  planSchedule({ ...dense, ...problem }, tile, limits).numParts;

describe('a schedule', () => {
  it('has a part for each group of CTAs that share a request, as FlashMLA counts', () => {
    expect(parts({})).toBe(66);
    expect(parts({ seqLenQ: 2 })).toBe(33);
    expect(parts({ numHeadsQ: 16 })).toBe(132);
    expect(parts({ numHeadsQ: 128, numHeadsKv: 4 })).toBe(33);
    expect(parts({ numHeadsQ: 16 }, { rowsPerTile: 16, ctasPerSm: 2 })).toBe(264);
  });

  it('tiles the heads of one query where each has its own tokens', () => {
    expect(parts({ kind: 'sparse', topk: 2048, seqLenQ: 2, numHeadsQ: 80 })).toBe(33);
    expect(parts({ kind: 'sparse', topk: 2048, seqLenQ: 2, numHeadsQ: 64 })).toBe(66);
  });

  it('has at least one part and no more than there are blocks', () => {
    expect(parts({ numHeadsQ: 128 * 200 })).toBe(1);
    expect(parts({ batch: 1, maxSeqLenK: 640 })).toBe(10);
    expect(parts({ batch: 2, kind: 'sparse', topk: 128, extraTopk: 65 })).toBe(8);
  });

  it('cuts the same way in any batch when it is deterministic', () => {
    const splits = [1, 7, 128].map(
      (batch) => planSchedule({ ...dense, batch, deterministic: true }, tiling, limits).splitBlocks,
    );
    expect(new Set(splits)).toEqual(new Set([16]));
    expect(planSchedule(dense, tiling, limits)).toMatchObject({ blockTokens: 64, splitBlocks: 0 });
  });
});
