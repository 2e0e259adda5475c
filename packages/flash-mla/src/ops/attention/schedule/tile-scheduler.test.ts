import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SchedulePlan } from '../schedule-contract.ts';
import { metadataWidth } from './metadata.ts';
import {
  blocksOfLengths,
  blocksOfTopk,
  computeTileSchedule,
  maxTotalSplits,
  type TileSchedule,
} from './tile-scheduler.ts';

/** One split as a kernel meets it when it follows the metadata. */
interface Piece {
  readonly part: number;
  readonly request: number;
  readonly split: number;
  readonly begin: number;
  readonly end: number;
}

/** Follows the metadata as a kernel does, part by part. */
function follow(blocks: Int32Array, plan: SchedulePlan, schedule: TileSchedule): Piece[] {
  const pieces: Piece[] = [];
  for (let part = 0; part < plan.numParts; part++) {
    const row = schedule.metadata.subarray(part * metadataWidth, (part + 1) * metadataWidth);
    const [first, last, beginBlock, endBlock, beginSplit] = row as unknown as number[] as [
      number,
      number,
      number,
      number,
      number,
    ];
    for (let request = first; request <= last; request++) {
      const stop = request === last ? endBlock : (blocks[request] as number);
      let block = request === first ? beginBlock : 0;
      let split = request === first ? beginSplit : 0;
      while (block < stop) {
        const end = plan.splitBlocks > 0 ? Math.min(stop, block + plan.splitBlocks) : stop;
        pieces.push({ part, request, split, begin: block, end });
        block = end;
        split++;
      }
    }
  }
  return pieces;
}

function costs(pieces: readonly Piece[], plan: SchedulePlan): number[] {
  const cost = Array.from({ length: plan.numParts }, () => 0);
  for (const { part, begin, end } of pieces) {
    cost[part] = (cost[part] ?? 0) + end - begin + plan.overheadBlocks;
  }
  return cost;
}

const plans = (splitBlocks: fc.Arbitrary<number>): fc.Arbitrary<SchedulePlan> =>
  fc.record({
    numParts: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 300 })),
    blockTokens: fc.constant(64),
    overheadBlocks: fc.integer({ min: 0, max: 8 }),
    splitBlocks,
  });
const batches = fc
  .array(
    fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 2000 })),
    { minLength: 0, maxLength: 150 },
  )
  .map((list) => Int32Array.from(list));

describe.each([
  ['balanced', plans(fc.constant(0))],
  ['deterministic', plans(fc.integer({ min: 1, max: 40 }))],
])('computeTileSchedule, %s', (_, anyPlan) => {
  it('covers every block of every request exactly once and in order', () => {
    fc.assert(
      fc.property(batches, anyPlan, (blocks, plan) => {
        const pieces = follow(blocks, plan, computeTileSchedule(blocks, plan));
        const reached = new Int32Array(blocks.length);
        for (const { request, begin, end } of pieces) {
          expect(begin).toBe(reached[request]);
          expect(end).toBeGreaterThan(begin);
          reached[request] = end;
        }
        expect(reached).toEqual(blocks);
      }),
      { numRuns: 300 },
    );
  });

  it('numbers the splits of a request from 0 and sums them up', () => {
    fc.assert(
      fc.property(batches, anyPlan, (blocks, plan) => {
        const schedule = computeTileSchedule(blocks, plan);
        const next = new Int32Array(blocks.length);
        for (const { request, split } of follow(blocks, plan, schedule)) {
          expect(split).toBe(next[request]);
          next[request] = split + 1;
        }
        expect(schedule.numSplits).toHaveLength(blocks.length + 1);
        expect(schedule.numSplits[0]).toBe(0);
        for (let i = 0; i < blocks.length; i++) {
          const splits = (schedule.numSplits[i + 1] ?? 0) - (schedule.numSplits[i] ?? 0);
          expect(splits).toBe(next[i]);
          expect(splits).toBeGreaterThan(0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('makes no more splits than maxTotalSplits allows', () => {
    fc.assert(
      fc.property(batches, anyPlan, (blocks, plan) => {
        const { numSplits } = computeTileSchedule(blocks, plan);
        const bound = maxTotalSplits(plan, blocks.length, Math.max(0, ...blocks));
        expect(numSplits[blocks.length]).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 300 },
    );
  });

  it('flags the first and last request of a part that have several splits', () => {
    fc.assert(
      fc.property(batches, anyPlan, (blocks, plan) => {
        const { metadata, numSplits } = computeTileSchedule(blocks, plan);
        const several = (i: number) => ((numSplits[i + 1] ?? 0) - (numSplits[i] ?? 0) > 1 ? 1 : 0);
        for (let row = 0; row < metadata.length; row += metadataWidth) {
          const begin = metadata[row] ?? 0;
          const end = metadata[row + 1] ?? 0;
          expect(metadata[row + 5]).toBe(end < begin ? 0 : several(begin));
          expect(metadata[row + 6]).toBe(end < begin ? 0 : several(end));
          expect(metadata[row + 7]).toBe(0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('leaves a part without blocks as (next request, one less, 0, 0, 0, 0, 0, 0)', () => {
    fc.assert(
      fc.property(batches, anyPlan, (blocks, plan) => {
        const schedule = computeTileSchedule(blocks, plan);
        const pieces = follow(blocks, plan, schedule);
        for (let part = 0; part < plan.numParts; part++) {
          if (pieces.some((piece) => piece.part === part)) continue;
          const next = pieces.find((piece) => piece.part > part)?.request ?? blocks.length;
          expect([...schedule.metadata.subarray(part * 8, part * 8 + 8)]).toEqual([
            next,
            next - 1,
            0,
            0,
            0,
            0,
            0,
            0,
          ]);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the balance of computeTileSchedule', () => {
  it('balanced: no part costs more than its share, one block and the overhead', () => {
    fc.assert(
      fc.property(batches, plans(fc.constant(0)), (blocks, plan) => {
        const uncut = blocks.reduce((sum, n) => sum + n + plan.overheadBlocks, 0);
        const bound = Math.ceil(uncut / plan.numParts) + plan.overheadBlocks;
        const cost = costs(follow(blocks, plan, computeTileSchedule(blocks, plan)), plan);
        expect(Math.max(0, ...cost)).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 300 },
    );
  });

  it('balanced: parts that cost less would not suffice', () => {
    /** Whether parts of a cost, filled one by one, hold all blocks. */
    const suffices = (
      blocks: Int32Array,
      { numParts, overheadBlocks }: SchedulePlan,
      cost: number,
    ) => {
      let [parts, room] = [1, cost];
      for (const size of blocks) {
        let left = size;
        while (room < left + overheadBlocks) {
          left -= Math.max(0, room - overheadBlocks);
          room = cost;
          if (++parts > numParts) return false;
        }
        room -= left + overheadBlocks;
      }
      return true;
    };
    fc.assert(
      fc.property(batches, plans(fc.constant(0)), (blocks, plan) => {
        const pieces = follow(blocks, plan, computeTileSchedule(blocks, plan));
        const longest = Math.max(0, ...costs(pieces, plan));
        fc.pre(longest > plan.overheadBlocks + 2);
        const share = Math.ceil(
          blocks.reduce((sum, n) => sum + n + plan.overheadBlocks, 0) / plan.numParts,
        );
        for (let cost = Math.max(share, plan.overheadBlocks + 2); cost < longest; cost++) {
          expect(suffices(blocks, plan, cost)).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('deterministic: no part costs more than its share and one split', () => {
    fc.assert(
      fc.property(batches, plans(fc.integer({ min: 1, max: 40 })), (blocks, plan) => {
        const pieces = follow(blocks, plan, computeTileSchedule(blocks, plan));
        const cost = costs(pieces, plan);
        const total = cost.reduce((sum, c) => sum + c, 0);
        const largest = Math.max(0, ...pieces.map(({ begin, end }) => end - begin));
        const bound = total / plan.numParts + largest + plan.overheadBlocks;
        expect(Math.max(0, ...cost)).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 300 },
    );
  });

  it('deterministic: short requests spread over the parts although others are long', () => {
    const blocks = new Int32Array(128).fill(1);
    const plan = { numParts: 132, blockTokens: 64, overheadBlocks: 5, splitBlocks: 16 };
    const cost = costs(follow(blocks, plan, computeTileSchedule(blocks, plan)), plan);
    expect(Math.max(...cost)).toBe(6);
  });
});

describe('deterministic cuts', () => {
  it('do not depend on the rest of the batch or the number of parts', () => {
    const splitBlocks = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2000 }),
        batches,
        batches,
        splitBlocks.chain((n) => fc.tuple(plans(fc.constant(n)), plans(fc.constant(n)))),
        (size, before, after, [plan, alonePlan]) => {
          const cuts = (batch: Int32Array, request: number, p: SchedulePlan) =>
            follow(batch, p, computeTileSchedule(batch, p))
              .filter((piece) => piece.request === request)
              .map(({ split, begin, end }) => ({ split, begin, end }));
          const batch = Int32Array.from([...before, size, ...after]);
          expect(cuts(batch, before.length, plan)).toEqual(cuts(Int32Array.of(size), 0, alonePlan));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('come after every splitBlocks blocks', () => {
    const plan = { numParts: 2, blockTokens: 64, overheadBlocks: 1, splitBlocks: 4 };
    const blocks = Int32Array.of(9, 4, 3);
    const { metadata, numSplits } = computeTileSchedule(blocks, plan);
    expect([...numSplits]).toEqual([0, 3, 4, 5]);
    // Splits of cost 5, 5, 2, 5, 4 begin at 0, 5, 10, 12, 17 of 21: the second share begins at 10.5.
    expect([...metadata.subarray(0, 8)]).toEqual([0, 0, 0, 9, 0, 1, 1, 0]);
    expect([...metadata.subarray(8)]).toEqual([1, 2, 0, 3, 0, 0, 0, 0]);
  });
});

describe('computeTileSchedule', () => {
  const plan = (numParts: number, overheadBlocks: number): SchedulePlan => ({
    numParts,
    blockTokens: 64,
    overheadBlocks,
    splitBlocks: 0,
  });

  it('fills parts in turn', () => {
    // 10 + 2 and 3 + 2 blocks with overhead: a share of ⌈17 / 2⌉ = 9 would need three parts, 10 suffice.
    const { metadata, numSplits } = computeTileSchedule(Int32Array.of(10, 3), plan(2, 2));
    expect([...metadata.subarray(0, 8)]).toEqual([0, 0, 0, 8, 0, 1, 1, 0]);
    expect([...metadata.subarray(8)]).toEqual([0, 1, 8, 3, 1, 1, 0, 0]);
    expect([...numSplits]).toEqual([0, 2, 3]);
  });

  it.each([
    // Requests, blocks of each, parts: the most blocks of a part.
    [4, 128, 66, 8],
    [16, 128, 66, 32],
    [32, 64, 66, 32],
    [32, 64, 132, 16],
    // Cutting requests that fill a part each would cost more than it saves.
    [128, 128, 132, 128],
    // Not one block each, though there are parts enough.
    [1, 64, 66, 2],
  ])(
    'gives no part more than it must: %i requests of %i blocks on %i parts',
    (b, n, parts, most) => {
      const pieces = follow(
        new Int32Array(b).fill(n),
        plan(parts, 5),
        computeTileSchedule(new Int32Array(b).fill(n), plan(parts, 5)),
      );
      const held = new Int32Array(parts);
      for (const { part, begin, end } of pieces) held[part] = (held[part] ?? 0) + end - begin;
      expect(Math.max(...held)).toBe(most);
    },
  );

  it('gives a lone request to as many parts as there are blocks', () => {
    const { metadata, numSplits } = computeTileSchedule(Int32Array.of(3), plan(5, 0));
    expect([...numSplits]).toEqual([0, 3]);
    expect([...metadata.subarray(24, 32)]).toEqual([1, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('leaves all parts of an empty batch empty', () => {
    const { metadata, numSplits } = computeTileSchedule(new Int32Array(0), plan(2, 1));
    expect([...numSplits]).toEqual([0]);
    expect([...metadata]).toEqual([0, -1, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0]);
  });

  it('schedules 200,000 requests of up to 131,072 tokens', () => {
    const blocks = Int32Array.from({ length: 200_000 }, (_, i) => 1 + ((i * 7919) % 2048));
    for (const splitBlocks of [0, 16]) {
      const each = { ...plan(132, 5), splitBlocks };
      const schedule = computeTileSchedule(blocks, each);
      const last = schedule.metadata.subarray(131 * 8);
      expect([last[1], last[3]]).toEqual([199_999, blocks[199_999]]);
    }
  });
});

describe('blocks', () => {
  it('of lengths: at least one, whole blocks', () => {
    expect([...blocksOfLengths([0, 1, 64, 65, 640, -7], 64)]).toEqual([1, 1, 1, 2, 10, 1]);
  });

  it('of top-k: the extra cache begins in a block of its own', () => {
    expect([...blocksOfTopk({ batch: 2, topk: 65 }, 64)]).toEqual([2, 2]);
    expect([...blocksOfTopk({ batch: 2, topk: 65, extraTopk: 1 }, 64)]).toEqual([3, 3]);
    expect([
      ...blocksOfTopk(
        {
          batch: 4,
          topk: 128,
          topkLength: [0, 64, 1000, -1],
          extraTopk: 128,
          extraTopkLength: [0, 65, 5000, -1],
        },
        64,
      ),
    ]).toEqual([1, 3, 4, 1]);
  });
});
