import { describe, expect, it } from 'vitest';
import { generateProblem, kindOf, referenceAnswers } from '../../conformance/kinds.ts';
import { Random } from '../../conformance/suite/random.ts';
import { sampledAnswers } from '../../conformance/suite/sampled-answers.ts';
import type { AttentionProblemParams } from './kinds.ts';

const problems: readonly AttentionProblemParams[] = [
  { op: 'dense-decode', b: 5, sQ: 2, sK: 70, hQ: 12, hKv: 3, varlen: true, causal: true },
  {
    ...{ op: 'sparse-decode', layout: 'model1', b: 5, sQ: 2, hQ: 9, sink: 'infinite' },
    cache: { sK: 40, topk: 32, page: 5, lengths: true },
    extra: { sK: 40, topk: 16, page: 5, lengths: true },
  },
  {
    op: 'sparse-prefill',
    sQ: 9,
    sKv: 60,
    topk: 32,
    hQ: 12,
    hKv: 2,
    dQk: 512,
    lengths: true,
    sink: 'finite',
  },
  { op: 'varlen-attention', b: 5, sQ: 9, sK: 30, hQ: 12, hKv: 3, dQk: 64, dV: 48, causal: true },
  { op: 'cache-attention', b: 5, sQ: 3, sK: 30, hQ: 12, hKv: 3, dQk: 64, dV: 48, page: 4 },
  { op: 'cache-attention', b: 5, sQ: 3, sK: 30, hQ: 12, hKv: 3, dQk: 64, dV: 48, causal: true },
];

describe.each(problems.map((params, i) => [params.op, i, params] as const))(
  'sampled answers of %s (%i)',
  (_, i, params) => {
    const problem = generateProblem(`sampled ${i}`, params);
    const whole = referenceAnswers(problem);

    it('are those of the whole problem, in their places', () => {
      const sampled = sampledAnswers(kindOf(problem.op), problem, 2e5, new Random('sample'));
      expect(Object.keys(sampled)).toEqual(Object.keys(whole));
      for (const name of ['out', 'lse', 'max_logits'] as const) {
        const [some, all] = [sampled[name], whole[name]];
        if (!some || !all) continue;
        const { known, rowLength = 1 } = some;
        const rows = all.values.length / rowLength;
        expect(known).toHaveLength(rows);
        const chosen = Array.from({ length: rows }, (_, r) => r).filter((r) => known?.[r] === 1);
        expect(chosen.length).toBeGreaterThan(1);
        expect(chosen.length).toBeLessThan(rows);
        for (const r of chosen) {
          const row = (from: Float64Array) => from.slice(r * rowLength, (r + 1) * rowLength);
          expect(row(some.values)).toEqual(row(all.values));
        }
      }
    });

    it('are all answers where the budget allows', () => {
      const sampled = sampledAnswers(kindOf(problem.op), problem, 1e12, new Random('sample'));
      expect(sampled.out?.known).toBeUndefined();
      expect(sampled.out?.values).toEqual(whole.out?.values);
    });
  },
);
