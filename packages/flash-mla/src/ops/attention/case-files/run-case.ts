import { decodeAll } from '@flash-mla/core';
import type { Device } from '../../../runtime/device/device.ts';
import { type Comparison, compare } from '../../conformance/compare.ts';
import { answerNames } from '../../conformance/problem.ts';
import type { ProblemKind } from '../../conformance/problem-kind.ts';
import { type RunOptions, type RunResult, runOfKind } from '../../conformance/run-problem.ts';
import type { Tolerance } from '../../conformance/tolerance.ts';
import { denseDecode } from '../conformance/dense-decode.ts';
import { sparseDecode } from '../conformance/sparse-decode.ts';
import { sparsePrefill } from '../conformance/sparse-prefill.ts';
import type { Case, CaseProblem } from './load-case.ts';

/** The kinds of problems that a case file can hold. */
const kinds: Readonly<Record<CaseProblem['op'], ProblemKind>> = {
  'dense-decode': denseDecode,
  'sparse-decode': sparseDecode,
  'sparse-prefill': sparsePrefill,
};

/** A case file's problem on a device, against the answers of the file. */
export interface CaseReport extends RunResult {
  readonly name: string;
  /** True where every answer of the file is met; a file without answers passes. */
  readonly pass: boolean;
  /** One for each answer of the file: first those `expected`, then those of `flashmla`. */
  readonly comparisons: readonly Comparison[];
}

/** Runs a case and compares. Rejects with what the API throws for its problem. */
export async function runCase(
  device: Device,
  { name, problem, answers }: Case,
  options: RunOptions = {},
): Promise<CaseReport> {
  const kind = kinds[problem.op];
  const result = await runOfKind(device, kind, problem, options);
  const comparisons: Comparison[] = [];
  for (const against of ['expected', 'flashmla'] as const) {
    for (const answer of answerNames) {
      const actual = result.answers[answer];
      const expected = answers[against][answer];
      if (!actual || !expected) continue;
      const tolerance = toleranceAgainst(against, kind.toleranceOf(answer, actual.dtype));
      const values = { values: decodeAll(expected) };
      comparisons.push(compare(answer, against, actual, values, tolerance));
    }
  }
  return { ...result, name, comparisons, pass: comparisons.every(({ pass }) => pass) };
}

/** FlashMLA's output is rounded as much as ours: the squares of both errors add up in the cosine. */
function toleranceAgainst(against: 'expected' | 'flashmla', tolerance: Tolerance): Tolerance {
  if (against === 'expected' || tolerance.cosine === undefined) return tolerance;
  return { ...tolerance, cosine: 2 * tolerance.cosine };
}
