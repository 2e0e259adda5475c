import { type DType, InvalidArgumentError } from '@flash-mla/core';
import type { Device } from '../../runtime/device/device.ts';
import { operationTools } from '../operation-tools.ts';
import type { ExpectedAnswers } from './compare.ts';
import type { AnswerName, Problem } from './problem.ts';
import type { CaseParams, ProblemKind } from './problem-kind.ts';
import { type RunOptions, type RunResult, runOfKind } from './run-problem.ts';
import { Random } from './suite/random.ts';
import type { Tolerance } from './tolerance.ts';

/** All kinds of problems, of all families. */
const kinds: ReadonlyMap<string, ProblemKind> = new Map(
  operationTools.flatMap(({ problems = [] }) => problems.map((kind) => [kind.op, kind])),
);

/** The kind that `op` names. Throws {@link InvalidArgumentError} where there is none. */
export function kindOf(op: string): ProblemKind {
  const kind = kinds.get(op);
  if (kind) return kind;
  throw new InvalidArgumentError('op', `one of ${[...kinds.keys()].join(', ')}`, `'${op}'`);
}

/** The problem of a case. The same name gives the same data, everywhere. */
export function generateProblem(name: string, params: CaseParams): Problem {
  return kindOf(params.op).generate(params, new Random(name));
}

/** What the float64 reference says to a problem, in full. */
export function referenceAnswers(problem: Problem): ExpectedAnswers {
  return kindOf(problem.op).reference(problem);
}

/** The bounds of one answer. `dtype`: of the output tensor. */
export function toleranceOf(op: string, answer: AnswerName, dtype: DType): Tolerance {
  return kindOf(op).toleranceOf(answer, dtype);
}

/**
 * Runs a problem through the public API. Outputs are full of NaN before, so what is not written shows.
 * Rejects with what the API throws and with what went wrong on the device.
 */
export function runProblem(
  device: Device,
  problem: Problem,
  options: RunOptions = {},
): Promise<RunResult> {
  return runOfKind(device, kindOf(problem.op), problem, options);
}
