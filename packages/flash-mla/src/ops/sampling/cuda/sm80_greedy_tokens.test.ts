import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { type GreedyProblem, portableGreedyTokens } from './kernels.ts';

const all = {
  ...{ hasBias: true, hasAllowed: true, hasInSequence: true, hasGenerated: true },
  ...{ hasRepetition: true, hasPresence: true, hasFrequency: true },
};
const none = Object.fromEntries(Object.keys(all).map((name) => [name, false])) as typeof all;

const problem = (more: Partial<GreedyProblem> = {}): GreedyProblem => ({
  ...{ rows: 3, vocabulary: 129_280, logits: 'f32', isGreedy: true, ...none, ...more },
});

describe('the likeliest tokens on CUDA', () => {
  it('have a key without rows and vocabulary', () => {
    const key = (more: Partial<GreedyProblem>) => portableGreedyTokens.keyOf(problem(more));
    expect(key({ rows: 99, vocabulary: 7 })).toEqual(key({}));
    expect(key(all)).not.toEqual(key({}));
  });

  it('are all that the kernel finds', () => {
    expect(portableGreedyTokens.accepts(problem({ isGreedy: false }))).toBe(false);
  });

  itAssembles(
    [problem(), problem({ ...all, logits: 'bf16' })].map((each, i) => ({
      ...{ name: `tokens ${i}`, launch: () => portableGreedyTokens.plan(each).launches.main },
    })),
  );
});
