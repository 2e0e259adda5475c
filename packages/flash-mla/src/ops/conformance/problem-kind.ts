import type { DType } from '@flash-mla/core';
import type { ExpectedAnswers } from './compare.ts';
import type { Inputs } from './inputs.ts';
import type { AnswerName, Answers, Problem } from './problem.ts';
import type { Random } from './suite/random.ts';
import type { Divisible, Division } from './suite/sub-problem.ts';
import type { Tolerance } from './tolerance.ts';
import type { Operation } from './variant.ts';

/** What a case says about its problem. All data follow from these parameters and the case's name. */
export interface CaseParams {
  readonly op: string;
}

/** Everything that the suite has to know about one kind of problem. It lives with its operation. */
export interface ProblemKind<P extends Problem = Problem, Params extends CaseParams = CaseParams> {
  readonly op: P['op'];
  /** Floating-point operations of a case, tiles counted in full. An estimate from the parameters alone. */
  cost(params: Params): number;
  /** The problem of a case. */
  generate(params: Params, random: Random): P;
  /** What the float64 reference says, in full. */
  reference(problem: P): ExpectedAnswers;
  /** The bounds of one answer. `dtype`: of the tensor. */
  toleranceOf(answer: AnswerName, dtype: DType): Tolerance;
  /** Puts the problem to the public API. Throws what that throws for it, at the latest in `enqueue`. */
  prepare(inputs: Inputs, problem: P): Operation;
  /** Where rows do not depend on each other: how part of a problem stands alone. */
  readonly division?: Division<P & Divisible>;
  /**
   * Where a call leaves some rows of its outputs as they were: fills them with what the reference says,
   * so that the others can be judged. Returns what is wrong where such a row was written to, which shows
   * where outputs were full of poison before.
   */
  fillUnowned?(problem: P, answers: Answers, wasPoisoned: boolean): string | undefined;
}
