/** Case files, tolerances and the conformance suite. */

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
} from './bundled-cases.ts';
export { type Comparison, compare, describeComparison, type ElementError } from './compare.ts';
export { type Case, type CaseAnswers, type CaseProblem, loadCase, readCase } from './load-case.ts';
export type { Variant } from './operations.ts';
export { type AnswerName, type Answers, answerNames, type Op, type Problem } from './problem.ts';
export {
  type PropertyFailure,
  type PropertyOptions,
  type PropertyProgress,
  type PropertyResult,
  runProperties,
  selectProblems,
} from './property/run-properties.ts';
export { parseSeed } from './property/seed.ts';
export { type ExpectedAnswers, referenceAnswers } from './reference-answers.ts';
export { type CaseReport, runCase } from './run-case.ts';
export { type RunOptions, type RunResult, runProblem } from './run-problem.ts';
export { encodeCase, saveCase } from './save-case.ts';
export type { ConformanceCase } from './suite/conformance-case.ts';
export { type Exclusion, exclusions } from './suite/exclusions.ts';
export { generateProblem } from './suite/generate/index.ts';
export type { CaseParams } from './suite/params.ts';
export {
  type ConformanceOptions,
  type ConformanceProgress,
  type ConformanceResult,
  runConformance,
} from './suite/run-conformance.ts';
export {
  type CaseSelection,
  conformanceCases,
  selectCases,
} from './suite/suite.ts';
export { type Tolerance, toleranceOf } from './tolerance.ts';
