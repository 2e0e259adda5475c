/**
 * Case files, tolerances and the conformance suite, with the problems that the families of operations
 * have. What has no family is in `conformance/`.
 */

import type { DType } from '@flash-mla/core';
import type { Device } from '../runtime/device/device.ts';
import type { AttentionProblemParams } from './attention/conformance/kinds.ts';
import type { ScheduleParams } from './attention/conformance/params.ts';
import type { AttentionProblem } from './attention/conformance/problems.ts';
import type { ExpectedAnswers } from './conformance/compare.ts';
import * as kinds from './conformance/kinds.ts';
import type { AnswerName } from './conformance/problem.ts';
import type { RunOptions, RunResult } from './conformance/run-problem.ts';
import type { Tolerance } from './conformance/tolerance.ts';
import type { KvCacheParams } from './kv-cache/conformance/params.ts';
import type { KvCacheProblem } from './kv-cache/conformance/problems.ts';

export {
  encodeSafetensors,
  type FileInput,
  openSafetensors,
  SafetensorsFile,
  safetensorsChunks,
  type TensorEntry,
  type WritableTensor,
  writeSafetensors,
} from '@flash-mla/safetensors';
export {
  bundledCaseNames,
  bundledCaseUrl,
  type RecordedCaseName,
  recordedCaseNames,
} from './attention/case-files/bundled-cases.ts';
export {
  type Case,
  type CaseAnswers,
  type CaseProblem,
  loadCase,
  readCase,
} from './attention/case-files/load-case.ts';
export { type CaseReport, runCase } from './attention/case-files/run-case.ts';
export { encodeCase, saveCase } from './attention/case-files/save-case.ts';
export {
  type Comparison,
  compare,
  describeComparison,
  type ElementError,
  type ExpectedAnswers,
} from './conformance/compare.ts';
export { type AnswerName, type Answers, answerNames } from './conformance/problem.ts';
export {
  type PropertyFailure,
  type PropertyOptions,
  type PropertyProgress,
  type PropertyResult,
  runProperties,
  selectProblems,
} from './conformance/property/run-properties.ts';
export { parseSeed } from './conformance/property/seed.ts';
export type { RunOptions, RunResult } from './conformance/run-problem.ts';
export type { ConformanceCase } from './conformance/suite/conformance-case.ts';
export type { Exclusion } from './conformance/suite/exclusion.ts';
export { exclusions } from './conformance/suite/exclusions.ts';
export {
  type ConformanceOptions,
  type ConformanceProgress,
  type ConformanceResult,
  runConformance,
} from './conformance/suite/run-conformance.ts';
export {
  type CaseSelection,
  conformanceCases,
  selectCases,
} from './conformance/suite/suite.ts';
export type { Tolerance } from './conformance/tolerance.ts';
export type { Variant } from './conformance/variant.ts';

/** The arguments of one operation, on the host. */
export type Problem = AttentionProblem | KvCacheProblem;

export type Op = Problem['op'];

/** What a case says about its problem. All data follow from these parameters and the case's name. */
export type CaseParams = AttentionProblemParams | ScheduleParams | KvCacheParams;

/** The problem of a case. The same name gives the same data, everywhere. */
export function generateProblem<P extends Exclude<CaseParams, ScheduleParams>>(
  name: string,
  params: P,
): Extract<Problem, { op: P['op'] }> {
  return kinds.generateProblem(name, params) as Extract<Problem, { op: P['op'] }>;
}

/** What the float64 reference says to a problem, in full. */
export function referenceAnswers(problem: Problem): ExpectedAnswers {
  return kinds.referenceAnswers(problem);
}

/** The bounds of one answer. `dtype`: of the output tensor. */
export function toleranceOf(op: Op, answer: AnswerName, dtype: DType): Tolerance {
  return kinds.toleranceOf(op, answer, dtype);
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
  return kinds.runProblem(device, problem, options);
}
