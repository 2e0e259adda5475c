import { encodeElements } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { generateProblem, kindOf, referenceAnswers } from '../../conformance/kinds.ts';
import type { Answers } from '../../conformance/problem.ts';
import { insanity } from '../../conformance/suite/sanity.ts';
import type { Divisible, Division } from '../../conformance/suite/sub-problem.ts';
import { hostTensor } from '../../reference.ts';
import type { AttentionProblemParams } from './kinds.ts';

const cases: readonly AttentionProblemParams[] = [
  { op: 'dense-decode', b: 4, sQ: 2, sK: 30, hQ: 3, hKv: 1, varlen: true, zeroLengths: 'some' },
  {
    ...{
      op: 'sparse-decode',
      layout: 'v32',
      b: 4,
      sQ: 2,
      hQ: 3,
      invalid: 'rows',
      sink: 'infinite',
    },
    cache: { sK: 40, topk: 16, page: 5 },
  },
  { op: 'sparse-prefill', sQ: 4, sKv: 40, topk: 16, hQ: 3, dQk: 512, invalid: 'rows' },
  { op: 'varlen-attention', b: 3, sQ: 9, sK: 5, hQ: 3, hKv: 1, dQk: 64, dV: 48, causal: true },
  { op: 'cache-attention', b: 3, sQ: 3, sK: 9, hQ: 3, hKv: 1, dQk: 64, dV: 48, page: 4 },
];

describe.each(cases.map((params) => [params.op, params] as const))('sanity of %s', (_, params) => {
  const problem = generateProblem('sanity', params) as Divisible;
  const division = kindOf(params.op).division as Division<Divisible>;
  const { out, lse } = referenceAnswers(problem);
  const rowLength = out?.rowLength ?? 0;
  const rows = (lse as { values: Float64Array }).values.length;

  /** The true answers as a device would give them, with one row changed. */
  function answers(row: number, value: number | undefined, lseValue?: number): Answers {
    const values = Float64Array.from(out?.values ?? []);
    if (value !== undefined) values[row * rowLength + 1] = value;
    const lses = Float32Array.from(lse?.values ?? []);
    if (lseValue !== undefined) lses[row] = lseValue;
    return {
      out: hostTensor('bf16', [rows, rowLength], encodeElements('bf16', values)),
      lse: hostTensor('f32', [rows], lses),
    };
  }

  it('holds for the right answers', () => {
    expect(insanity(division, problem, answers(0, undefined))).toBeUndefined();
  });

  it.each([
    ['a NaN', Number.NaN],
    ['an infinity', Number.NEGATIVE_INFINITY],
    ['a value beyond all values', 100],
  ])('does not hold with %s in any row of out', (__, value) => {
    for (let row = 0; row < rows; row++) {
      expect(insanity(division, problem, answers(row, value))).toContain(
        `out row ${row}, column 1`,
      );
    }
  });

  it('does not hold where an lse is NaN or −inf, or a row without keys is not 0', () => {
    for (const wrong of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      expect(insanity(division, problem, answers(rows - 1, undefined, wrong))).toMatch(
        /^lse of row/,
      );
    }
    const filled = lse?.values.findIndex(Number.isFinite) ?? -1;
    expect(filled).toBeGreaterThanOrEqual(0);
    expect(
      insanity(division, problem, answers(filled, undefined, Number.POSITIVE_INFINITY)),
    ).toBeDefined();
  });
});
