import { decodeInto } from '@flash-mla/core';
import type { Device } from '../../../runtime/device/device.ts';
import { type Comparison, compare } from '../compare.ts';
import { type Answers, answerNames, type Problem } from '../problem.ts';
import type { CaseParams, ProblemKind } from '../problem-kind.ts';
import { runOfKind } from '../run-problem.ts';
import { exact, type Tolerance } from '../tolerance.ts';
import type { CallVariant } from './call-variant.ts';
import type { Exclusion } from './exclusion.ts';
import { Random } from './random.ts';
import { sampledAnswers } from './sampled-answers.ts';
import { insanity } from './sanity.ts';
import { type Divisible, type Division, groupSize, takePart } from './sub-problem.ts';

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
export async function executeCase<P extends Problem, Params extends CaseParams & CallVariant>(
  device: Device,
  kind: ProblemKind<P, Params>,
  { name, params }: { readonly name: string; readonly params: Params },
  options: ExecuteOptions,
): Promise<Execution> {
  const problem = kind.generate(params, new Random(name));
  const { metadata, gap, graph, deterministic, invariant }: CallVariant = params;
  const variant = { metadata, gap, graph, deterministic: deterministic || invariant };
  const { answers, microseconds } = await runOfKind(device, kind, problem, {
    ...variant,
    ...options,
  });
  const comparisons = compareAnswers(kind, problem, answers, name, options);
  const problems: string[] = [];
  const isSampled = comparisons.some(({ compared, elements }) => compared < elements);
  if (isSampled && kind.division) {
    const wrong = insanity(kind.division, problem as P & Divisible, answers);
    if (wrong) problems.push(wrong);
  }
  if (invariant && kind.division) {
    const whole = problem as P & Divisible;
    comparisons.push(...(await compareParts(device, kind, kind.division, whole, answers)));
  }
  return { comparisons, microseconds, problems };
}

function compareAnswers<P extends Problem>(
  kind: ProblemKind<P, never>,
  problem: P,
  answers: Answers,
  name: string,
  { referenceBudget, exclusions }: ExecuteOptions,
): Comparison[] {
  const expected = sampledAnswers(kind, problem, referenceBudget, new Random(`${name}/sample`));
  const comparisons: Comparison[] = [];
  for (const answer of answerNames) {
    const [actual, values] = [answers[answer], expected[answer]];
    if (!actual || !values) continue;
    const tolerance: Tolerance =
      exclusions.find(({ tolerances }) => tolerances?.[answer])?.tolerances?.[answer] ??
      kind.toleranceOf(answer, actual.dtype);
    comparisons.push(compare(answer, 'reference', actual, values, tolerance));
  }
  return comparisons;
}

/** The first and the last request alone, bit for bit against what they gave in the batch. */
async function compareParts<P extends Problem>(
  device: Device,
  kind: ProblemKind<P, never>,
  division: Division<P & Divisible>,
  problem: P & Divisible,
  whole: Answers,
): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  const allHeads = Array.from({ length: groupSize(division, problem) }, (_, h) => h);
  for (const part of new Set([0, division.partsOf(problem) - 1])) {
    const alone = takePart(division, problem, part, allHeads);
    const { answers } = await runOfKind(device, kind, alone.problem, { deterministic: true });
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
