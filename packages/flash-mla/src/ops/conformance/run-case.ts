import { decodeAll } from '@flash-mla/core';
import type { Device } from '../../runtime/device/device.ts';
import { type Comparison, compare } from './compare.ts';
import type { Case } from './load-case.ts';
import { answerNames } from './problem.ts';
import { type RunOptions, type RunResult, runProblem } from './run-problem.ts';
import { type Tolerance, toleranceOf } from './tolerance.ts';

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
  const result = await runProblem(device, problem, options);
  const comparisons: Comparison[] = [];
  for (const against of ['expected', 'flashmla'] as const) {
    for (const answer of answerNames) {
      const actual = result.answers[answer];
      const expected = answers[against][answer];
      if (!actual || !expected) continue;
      const tolerance = toleranceAgainst(against, toleranceOf(problem.op, answer, actual.dtype));
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
