import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { type DrawProblem, portableDrawTokens } from './draw_launch.ts';

const all = {
  ...{ hasBias: true, hasAllowed: true, hasInSequence: true, hasGenerated: true },
  ...{ hasRepetition: true, hasPresence: true, hasFrequency: true, hasTemperature: true },
  ...{ hasTopK: true, hasTopP: true, hasMinP: true, hasTop: true },
};
const none = Object.fromEntries(Object.keys(all).map((name) => [name, false])) as typeof all;

const problem = (more: Partial<DrawProblem> = {}): DrawProblem => ({
  ...{ rows: 3, vocabulary: 163_840, logits: 'f32', ...none, hasTemperature: true, ...more },
});

describe('drawing tokens on CUDA', () => {
  it('has a key without rows and vocabulary, and scratch for the scores of all', () => {
    const { keyOf, plan } = portableDrawTokens;
    expect(keyOf(problem({ rows: 99, vocabulary: 7 }))).toEqual(keyOf(problem()));
    expect(keyOf(problem(all))).not.toEqual(keyOf(problem()));
    expect(plan(problem()).workspaceBytes).toBe(3 * 163_840 * 4);
    expect(portableDrawTokens.accepts(problem({ vocabulary: 2 ** 26 }))).toBe(false);
  });

  itAssembles(
    [problem(), problem({ ...all, logits: 'bf16' })].map((each, i) => ({
      ...{ name: `drawn tokens ${i}`, launch: () => portableDrawTokens.plan(each).launches.main },
    })),
  );
});
