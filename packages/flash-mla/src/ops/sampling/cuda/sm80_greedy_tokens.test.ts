import { describe, expect, it } from 'vitest';
import { openDevice, sampleTokens } from '../../../index.ts';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../kernel-lib/cuda/testing/sim-context.ts';
import { type GreedyProblem, portableGreedyTokens } from './kernels.ts';
import { partsOf } from './sm80_greedy_tokens.ts';

const limits = limitsFor('h200');

const rowsOf = (dtype: 'bf16' | 'f32', alignment = 16) => ({ dtype, strides: [1], alignment });

const all = {
  ...{ hasBias: true, hasAllowed: true, hasInSequence: true, hasGenerated: true },
  ...{ hasRepetition: true, hasPresence: true, hasFrequency: true },
};
const none = Object.fromEntries(Object.keys(all).map((name) => [name, false])) as typeof all;

const problem = (more: Partial<GreedyProblem> = {}): GreedyProblem => ({
  ...{ rows: 3, vocabulary: 129_280, isGreedy: true, logits: rowsOf('f32') },
  ...none,
  ...more,
});

describe('the likeliest tokens on CUDA', () => {
  it('have a key without rows and vocabulary', () => {
    const key = (more: Partial<GreedyProblem>) => portableGreedyTokens.keyOf(problem(more));
    expect(key({ rows: 99, vocabulary: 8 })).toEqual(key({}));
    expect(key(all)).not.toEqual(key({}));
    expect(key({ vocabulary: 7 })).not.toEqual(key({}));
    expect(key({ logits: rowsOf('f32', 4) })).not.toEqual(key({}));
  });

  it('are all that the kernel finds', () => {
    expect(portableGreedyTokens.accepts(problem({ isGreedy: false }))).toBe(false);
  });

  it.each([1, 3, 8, 128, 5000])('are sought by enough CTAs: %i rows', (rows) => {
    for (const vocabulary of [1, 4096, 4097, 129_280, 163_840, 1_000_000]) {
      const { parts, perPart } = partsOf(rows, vocabulary, 132);
      expect(parts * perPart).toBeGreaterThanOrEqual(vocabulary);
      expect((parts - 1) * perPart).toBeLessThan(vocabulary);
      expect(parts).toBeLessThanOrEqual(32);
      expect(perPart % 4096).toBe(0);
      if (vocabulary === 163_840) expect(rows * parts).toBeGreaterThanOrEqual(rows === 1 ? 20 : 60);
    }
  });

  it('are the lowest of equal ones, in whatever parts of the row they lie', async () => {
    await using device = await openDevice('sim');
    const vocabulary = 12_345;
    const impossible = Number.NEGATIVE_INFINITY;
    const rows = [[4100, 8200], [12_344, 12_000, 8191], [0, 12_344], [], [12_344]];
    const data = new Float32Array(rows.length * vocabulary).fill(impossible);
    for (const [row, tokens] of rows.entries()) {
      for (const token of tokens) data[row * vocabulary + token] = 7;
    }
    const logits = device.tensor(data, [rows.length, vocabulary], 'f32');
    // The second call finds the counters as the first one found them.
    for (let call = 0; call < 2; call++) {
      const { tokens, logprobs } = sampleTokens({ logits });
      expect([...(await tokens.read())]).toEqual([4100, 8191, 0, 0, 12_344]);
      const found = await logprobs.readFloat32();
      for (const [row, { length }] of rows.entries()) {
        if (length > 0) expect(found[row]).toBeCloseTo(-Math.log(length), 5);
      }
    }
  });

  itAssembles(
    [
      problem(),
      problem({ ...all, logits: rowsOf('bf16') }),
      problem({ vocabulary: 7, logits: rowsOf('f32', 4) }),
    ].map((each, i) => ({
      ...{
        name: `tokens ${i}`,
        launch: () => portableGreedyTokens.plan(each, limits).launches.main,
      },
    })),
  );
});
