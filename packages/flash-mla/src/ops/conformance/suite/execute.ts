import { decodeInto } from '@flash-mla/core';
import type { Device } from '../../../runtime/device/device.ts';
import { type Comparison, compare } from '../compare.ts';
import { type Answers, answerNames, type Problem } from '../problem.ts';
import { runProblem } from '../run-problem.ts';
import { exact, type Tolerance, toleranceOf } from '../tolerance.ts';
import type { Exclusion } from './exclusions.ts';
import { generateProblem } from './generate/index.ts';
import type { CallVariant, CaseParams } from './params.ts';
import { Random } from './random.ts';
import { sampledAnswers } from './sampled-answers.ts';
import { insanity } from './sanity.ts';
import { runSchedule } from './schedule.ts';
import { type Divisible, groupSize, partsOf, takePart } from './sub-problem.ts';

/** What running one case found. */
export interface Execution {
  readonly comparisons: readonly Comparison[];
  readonly microseconds: number;
  /** What no comparison says. */
  readonly problems: readonly string[];
}

/** How {@link executeCase} runs. */
export interface ExecuteOptions {
  /** Floating-point operations that the reference may spend on a case. */
  readonly referenceBudget: number;
  readonly exclusions: readonly Exclusion[];
  readonly signal?: AbortSignal | undefined;
}

/** Generates a case's problem, runs it on the device and compares with the float64 reference. */
export async function executeCase(
  device: Device,
  name: string,
  params: CaseParams,
  options: ExecuteOptions,
): Promise<Execution> {
  if (params.op === 'schedule') return runSchedule(device, name, params);
  const problem = generateProblem(name, params);
  const { metadata, gap, graph, deterministic, invariant }: CallVariant = params;
  const variant = { metadata, gap, graph, deterministic: deterministic || invariant };
  const { answers, microseconds } = await runProblem(device, problem, { ...variant, ...options });
  const comparisons = compareAnswers(problem, answers, name, options);
  const problems: string[] = [];
  const isSampled = comparisons.some(({ compared, elements }) => compared < elements);
  if (isSampled) {
    const wrong = insanity(problem as Divisible, answers);
    if (wrong) problems.push(wrong);
  }
  if (invariant) comparisons.push(...(await compareParts(device, problem as Divisible, answers)));
  return { comparisons, microseconds, problems };
}

function compareAnswers(
  problem: Problem,
  answers: Answers,
  name: string,
  { referenceBudget, exclusions }: ExecuteOptions,
): Comparison[] {
  const expected = sampledAnswers(problem, referenceBudget, new Random(`${name}/sample`));
  const comparisons: Comparison[] = [];
  for (const answer of answerNames) {
    const [actual, values] = [answers[answer], expected[answer]];
    if (!actual || !values) continue;
    const tolerance: Tolerance =
      exclusions.find(({ tolerances }) => tolerances?.[answer])?.tolerances?.[answer] ??
      toleranceOf(problem.op, answer, actual.dtype);
    comparisons.push(compare(answer, 'reference', actual, values, tolerance));
  }
  return comparisons;
}

/** The first and the last request alone, bit for bit against what they gave in the batch. */
async function compareParts(
  device: Device,
  problem: Divisible,
  whole: Answers,
): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  const allHeads = Array.from({ length: groupSize(problem) }, (_, h) => h);
  for (const part of new Set([0, partsOf(problem) - 1])) {
    const alone = takePart(problem, part, allHeads);
    const { answers } = await runProblem(device, alone.problem, { deterministic: true });
    for (const [name, places] of [
      ['out', alone.outRows],
      ['lse', alone.lsePlaces],
    ] as const) {
      const [actual, batch] = [answers[name], whole[name]];
      if (!actual || !batch) continue;
      const rowLength = actual.data.length / places.length;
      const values = new Float64Array(actual.data.length);
      places.forEach((place, i) => {
        decodeInto(batch, place * rowLength, rowLength, values, i * rowLength);
      });
      comparisons.push(compare(name, `request ${part} in the batch`, actual, { values }, exact));
    }
  }
  return comparisons;
}
