import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, SimContext } from '../../kernel-lib/cuda/testing/sim-context.ts';
import { metadataWidth } from '../schedule/metadata.ts';
import {
  blocksOfLengths,
  blocksOfTopk,
  computeTileSchedule,
  type TopkExtent,
} from '../schedule/tile-scheduler.ts';
import type { SchedulePlan } from '../schedule-contract.ts';
import { tileSchedule, tileScheduleSpec } from './sm80_tile_schedule_launch.ts';

const blockTokens = 64;
const limits = limitsFor('h200');

function planOf(numParts: number, more: Partial<SchedulePlan> = {}): SchedulePlan {
  return { numParts, blockTokens, overheadBlocks: 5, splitBlocks: 0, ...more };
}

/** What the kernel leaves in memory that held other values before. */
function run(
  plan: SchedulePlan,
  batch: number,
  { lengths, topk }: { lengths?: Int32Array; topk?: TopkExtent },
) {
  const context = new SimContext(limits);
  const tensor = (data: ArrayLike<number> | undefined) =>
    data && context.tensor('i32', [data.length], Int32Array.from(data));
  const problem = {
    kind: topk ? 'sparse' : 'dense',
    batch,
    seqLenQ: 1,
    numHeadsQ: 128,
    numHeadsKv: 1,
    headDimQk: 576,
    headDimV: 512,
    isFp8: false,
    deterministic: plan.splitBlocks > 0,
    topk: topk?.topk,
    extraTopk: topk?.extraTopk,
  } as const;
  const filled = (n: number) => new Int32Array(n).fill(0x55555555);
  const metadata = context.tensor(
    'i32',
    [plan.numParts, metadataWidth],
    filled(plan.numParts * metadataWidth),
  );
  const numSplits = context.tensor('i32', [batch + 1], filled(batch + 1));
  context.run(tileSchedule, {
    problem,
    plan,
    metadata,
    numSplits,
    seqlens: tensor(lengths ?? new Int32Array(batch)),
    topkLength: tensor(topk?.topkLength),
    extraTopkLength: tensor(topk?.extraTopkLength),
  });
  const words = (bytes: Uint8Array<ArrayBuffer>) => new Int32Array(bytes.buffer, bytes.byteOffset);
  return {
    metadata: words(context.read(metadata)),
    numSplits: words(context.read(numSplits)),
  };
}

function expectDense(lengths: readonly number[], plan: SchedulePlan): void {
  const got = run(plan, lengths.length, { lengths: Int32Array.from(lengths) });
  expect(got).toEqual(computeTileSchedule(blocksOfLengths(lengths, blockTokens), plan));
}

/** Deterministic numbers from 0 up to, not including, the limit. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

describe('the tile-schedule kernel', () => {
  it.each([
    ['no request', [], 7],
    ['a request without tokens', [0], 3],
    ['a block for each of many parts', [64 * 5], 132],
    ['one part', [100, 0, 3000, 7], 1],
    ['one request', [4096], 32],
    ['one long request over many parts', [32_768 * 16], 2000],
    ['one long request among short ones', [1, 64, 900_000, 65, 0, 128], 66],
    ['equal requests', Array<number>(128).fill(8192), 132],
    ['equal requests, few parts', Array<number>(128).fill(8192), 66],
    ['as many as the fewest threads', Array.from({ length: 256 }, (_, i) => i * 97), 132],
    ['a CTA of 512 threads', Array.from({ length: 257 }, (_, i) => (i % 9) * 977), 66],
    ['a warp and one more', Array<number>(33).fill(777), 132],
    ['the longest length', [2 ** 31 - 1, 5], 9],
  ])('cuts like the pure function: %s', (_name, lengths, numParts) => {
    expectDense(lengths, planOf(numParts));
  });

  it('cuts random batches like the pure function', () => {
    const below = random(1);
    for (let i = 0; i < 60; i++) {
      const scale = [64, 400, 3000, 20_000][below(4)] as number;
      const lengths = Array.from({ length: below(i % 5 === 0 ? 400 : 70) }, () =>
        below(6) === 0 ? 0 : below(below(12) === 0 ? scale * 40 : scale),
      );
      expectDense(lengths, planOf(1 + below(200), { overheadBlocks: i % 9 === 0 ? 31 : below(9) }));
    }
  });

  it.each([
    [1024, 132],
    [1025, 66],
    [2500, 132],
    [3000, 1],
    [2048, 3500],
  ])('cuts more requests than threads: b = %i, %i parts', (batch, numParts) => {
    const below = random(batch);
    const lengths = Array.from({ length: batch }, () =>
      below(9) === 0 ? 0 : below(below(50) === 0 ? 40_000 : 5000),
    );
    expectDense(lengths, planOf(numParts));
  });

  it.each([
    ['all entries', { batch: 5, topk: 2048 }, 40],
    ['lengths', { batch: 4, topk: 512, topkLength: [0, 600, -3, 65] }, 20],
    ['extra', { batch: 3, topk: 512, topkLength: [0, 9, 64], extraTopk: 1000 }, 50],
    [
      'extra lengths',
      { batch: 3, topk: 128, extraTopk: 1000, extraTopkLength: [0, 2000, 130] },
      66,
    ],
  ] as [string, TopkExtent, number][])('cuts sparse batches: %s', (_name, topk, numParts) => {
    const plan = planOf(numParts);
    const got = run(plan, topk.batch, { topk });
    expect(got).toEqual(computeTileSchedule(blocksOfTopk(topk, blockTokens), plan));
  });

  it('cuts at splits like the pure function', () => {
    const below = random(3);
    for (const batch of [0, 1, 40, 1100]) {
      const lengths = Array.from({ length: batch }, () => below(9000));
      expectDense(lengths, planOf(1 + below(150), { splitBlocks: 16 }));
    }
  });

  itAssembles(
    [256, 1024].flatMap((threads) =>
      [false, true].map((deterministic) => ({
        name: `${deterministic ? 'deterministic' : 'balanced'}, ${threads} threads`,
        launch: () => ({
          kernel: tileScheduleSpec,
          config: { kind: 'sparse', deterministic, threads },
          grid: [1, 1, 1],
        }),
      })),
    ) as never,
  );
});
