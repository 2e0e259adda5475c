import { decodeBf16, decodeF16, encodeF16 } from '@flash-mla/core';
import { defineKernel, global, SimMemory, simulate } from '@flash-mla/ptx';
import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, SimContext } from '../../kernel-lib/cuda/testing/sim-context.ts';
import { rowScale } from './scaled-halves.ts';
import type { CombineConfig } from './sm80_combine.ts';
import { bindCombine, combineSpec, planCombine } from './sm80_combine_launch.ts';

const limits = limitsFor('h200');

/** Deterministic values that are about normally distributed. */
function normals(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return ((state >>> 8) + 0.5) / 2 ** 24;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

interface Merge {
  readonly partial: CombineConfig['partial'];
  /** Splits of each request. */
  readonly splits: readonly number[];
  readonly numParts: number;
  readonly numHeadsQ: number;
  readonly headDimV: number;
  readonly scale: (row: number) => number;
}

/** Merges random splits in the simulator; the outputs beside what float64 says. */
function merge({ partial, splits, numParts, numHeadsQ, headDimV, scale }: Merge) {
  const context = new SimContext(limits);
  const plan = { numParts, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 };
  const rows = { batch: splits.length, seqLenQ: 1, numHeadsQ, headDimV };
  const numSplits = Int32Array.from([0, ...splits]);
  for (let i = 1; i < numSplits.length; i++) numSplits[i] = numSplits[i] + numSplits[i - 1];
  const slots = numSplits.at(-1) ?? 0;
  const random = normals(slots);

  const values = Array.from({ length: slots * numHeadsQ }, (_, row) =>
    Float64Array.from({ length: headDimV }, () => random() * scale(row)),
  );
  const lses = Float32Array.from(values, (_, i) => (i % 7 === 3 ? -Infinity : 3 * random()));
  const factors = values.map(
    (row) => 2 ** (Math.floor(Math.log2(Math.max(...row.map(Math.abs)))) - 14),
  );
  const workspace = context.workspace(slots * numHeadsQ * (headDimV * 4 + 8));
  const stored = values.map((row, i) =>
    row.map((x) =>
      partial === 'f16' ? decodeF16(encodeF16(x / factors[i])) * factors[i] : Math.fround(x),
    ),
  );
  const outputBytes = slots * numHeadsQ * headDimV * (partial === 'f16' ? 2 : 4);
  if (partial === 'f16') {
    const halves = Uint16Array.from(
      values.flatMap((row, i) => [...row].map((x) => encodeF16(x / factors[i]))),
    );
    context.memory.write(workspace, halves);
    const statistics = Float32Array.from(values.flatMap((_, i) => [lses[i], factors[i]]));
    context.memory.write(workspace + outputBytes, statistics);
  } else {
    context.memory.write(workspace, Float32Array.from(values.flatMap((row) => [...row])));
    context.memory.write(workspace + outputBytes, lses);
  }

  const poison = new Uint16Array(splits.length * numHeadsQ * headDimV).fill(0x7fff);
  const out = context.tensor('bf16', [splits.length, numHeadsQ, headDimV], poison);
  const lse = context.tensor(
    'f32',
    [splits.length, numHeadsQ],
    new Float32Array(splits.length * numHeadsQ).fill(-7),
  );
  const launch = planCombine(
    { outElement: 'bf16', headDimV, hasSink: false, partial },
    { ...rows, plan },
    limits,
  );
  const addresses = {
    workspace,
    numSplits: context.address(context.tensor('i32', [numSplits.length], numSplits)),
    out: context.address(out),
    lse: context.address(lse),
    sink: 0,
  };
  const sizes = { mostBlocks: 1, mostSplits: 1, slotsPerRequest: 0, outputBytes };
  const room = { slots, ...sizes, workspaceBytes: 0 };
  bindCombine(context, launch)(addresses, room, rows, context);

  const expected = splits.flatMap((count, request) =>
    Array.from({ length: numHeadsQ }, (_, head) => {
      const all = Array.from(
        { length: count },
        (_, i) => ((numSplits[request] ?? 0) + i) * numHeadsQ + head,
      );
      const largest = Math.max(...all.map((i) => lses[i]));
      const total = largest + Math.log2(all.reduce((sum, i) => sum + 2 ** (lses[i] - largest), 0));
      const output = Array.from({ length: headDimV }, (_, c) =>
        all.reduce((sum, i) => sum + 2 ** (lses[i] - total) * stored[i][c], 0),
      );
      return { isMerged: count > 1, total, output };
    }),
  );
  const outputs = new Uint16Array(context.read(out).buffer);
  const natural = new Float32Array(context.read(lse).buffer);
  return { launch, expected, outputs, natural };
}

describe('the combine of splits', () => {
  it.each([
    { partial: 'f32', splits: [1, 3, 2], numParts: 6, numHeadsQ: 3, headDimV: 512 },
    { partial: 'f16', splits: [1, 3, 2], numParts: 6, numHeadsQ: 3, headDimV: 512 },
    { partial: 'f32', splits: [140], numParts: 132, numHeadsQ: 16, headDimV: 512 },
    { partial: 'f16', splits: [64], numParts: 66, numHeadsQ: 4, headDimV: 512 },
    { partial: 'f16', splits: [150, 1, 33], numParts: 66, numHeadsQ: 2, headDimV: 512 },
    { partial: 'f32', splits: [5, 40], numParts: 8, numHeadsQ: 2, headDimV: 80 },
    { partial: 'f16', splits: Array(40).fill(2), numParts: 66, numHeadsQ: 64, headDimV: 512 },
  ] as const)('merges $splits splits of $numHeadsQ rows as $partial', (problem) => {
    const { headDimV } = problem;
    const { expected, outputs, natural } = merge({
      ...problem,
      scale: (row) => 10 ** ((row % 9) - 4),
    });
    expected.forEach(({ isMerged, total, output }, row) => {
      if (!isMerged) {
        // The kernel before it has written this row.
        expect(outputs[row * headDimV]).toBe(0x7fff);
        expect(natural[row]).toBe(-7);
        return;
      }
      expect(natural[row]).toBeCloseTo(total * Math.LN2, 4);
      const size = Math.max(...output.map(Math.abs));
      // One question for all columns: a million of `expect` would take longer than the kernel.
      const wrong = output.findIndex((x, c) => {
        const got = decodeBf16(outputs[row * headDimV + c]);
        return !(Math.abs(got - x) <= 2 ** -8 * Math.abs(x) + 1e-6 * size);
      });
      expect(wrong, `row ${row}: the first wrong column`).toBe(-1);
    });
  });

  it('shares a row among more warps the fewer rows there are, and reads as many splits as there are', () => {
    const config = (batch: number, numHeadsQ: number, numParts: number) => {
      const plan = { numParts, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 };
      const launch = planCombine(
        { outElement: 'bf16', headDimV: 512, hasSink: false, partial: 'f16' },
        { batch, seqLenQ: 1, numHeadsQ, headDimV: 512, plan },
        limits,
      );
      return [launch.config.warpsPerRow, launch.config.splitsAtOnce];
    };
    expect(config(1, 128, 66)).toEqual([8, 64]);
    expect(config(4, 128, 66)).toEqual([4, 16]);
    expect(config(16, 128, 66)).toEqual([2, 4]);
    expect(config(32, 128, 66)).toEqual([1, 2]);
  });

  itAssembles(
    (['f32', 'f16'] as const).flatMap((partial) =>
      ([1, 2, 4, 8, 16] as const).flatMap((warpsPerRow) =>
        ([2, 16, 64] as const).map((splitsAtOnce) => ({
          name: `${partial} ${warpsPerRow} warps per row, ${splitsAtOnce} splits`,
          launch: () =>
            (partial === 'f16') === (warpsPerRow === 16)
              ? undefined
              : {
                  kernel: combineSpec,
                  config: {
                    outElement: 'bf16',
                    headDimV: 512,
                    hasSink: true,
                    partial,
                    warpsPerRow,
                    splitsAtOnce,
                  },
                  grid: [1, 1, 1],
                },
        })),
      ),
    ),
  );
});

describe('rowScale', () => {
  it('brings the largest value to between 2^14 and 2^15, and its inverse undoes it', () => {
    const inputs = Float32Array.of(1, 1.999, 3e38, 1e-20, 65504, 1e-30, 0, Infinity);
    const kernel = defineKernel(
      { name: 'scales', params: { from: global('f32'), to: global('f32') }, block: [32] },
      (k, p) => {
        k.if(k.threadIdx.x.lt(inputs.length), () => {
          const { scale, inverse } = rowScale(k, p.from.at(k.threadIdx.x).load());
          p.to.at(k.threadIdx.x.shl(1)).storeVec([scale, inverse]);
        });
      },
    );
    const memory = new SimMemory();
    const to = memory.alloc(inputs.length * 8);
    simulate(kernel, { grid: [1], params: { from: memory.allocFrom(inputs), to }, memory });
    const scales = new Float32Array(memory.read(to, inputs.length * 8).buffer);
    inputs.forEach((x, i) => {
      const [scale = 0, inverse = 0] = scales.subarray(2 * i);
      expect(scale * inverse).toBe(1);
      expect(Number.isInteger(Math.log2(scale))).toBe(true);
      if (x >= 2 ** -87 && x < Infinity) {
        expect(x * scale).toBeGreaterThanOrEqual(2 ** 14);
        expect(x * scale).toBeLessThan(2 ** 15);
      } else {
        expect(Number.isFinite(scale)).toBe(true);
      }
    });
  });
});
