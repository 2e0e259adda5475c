import type { ExpectedAnswers } from '../compare.ts';
import type { Problem } from '../problem.ts';
import type { ProblemKind } from '../problem-kind.ts';
import type { Random } from './random.ts';
import { type Divisible, type Division, groupSize, takePart } from './sub-problem.ts';

/**
 * Expected answers within a budget of floating-point operations. A problem within it is answered in
 * full. Of a larger one some rows are: requests chosen at random, the longest, shortest, first and last
 * among them, each with some heads of every group, the last among them. The reference needs about a
 * third of a nanosecond per operation on one core.
 */
export function sampledAnswers<P extends Problem>(
  kind: ProblemKind<P, never>,
  problem: P,
  budget: number,
  random: Random,
): ExpectedAnswers {
  const { division } = kind;
  if (!division) return kind.reference(problem);
  const whole = problem as P & Divisible;
  const costs = partCosts(division, whole);
  const total = costs.reduce((sum, cost) => sum + cost, 0) * groupSize(division, whole);
  if (total <= budget) return kind.reference(problem);
  return answerParts(kind, division, whole, { costs, budget, random });
}

interface Sampling {
  /** Of each part, with one head of each group. */
  readonly costs: readonly number[];
  readonly budget: number;
  readonly random: Random;
}

function answerParts<P extends Problem>(
  kind: ProblemKind<P, never>,
  division: Division<P & Divisible>,
  problem: P & Divisible,
  { costs, budget, random }: Sampling,
): ExpectedAnswers {
  const rows = problem.q.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const rowLength = division.headDimV(problem);
  const known = new Uint8Array(rows);
  const out = {
    values: new Float64Array(rows * rowLength),
    known: new Uint8Array(rows),
    rowLength,
  };
  const lse = { values: new Float64Array(rows), known };
  const maxLogits = { values: new Float64Array(rows), known };
  const size = groupSize(division, problem);
  let hasMaxLogits = false;
  let spent = 0;
  for (const [turn, index] of samplingOrder(costs, random).entries()) {
    const cost = costs[index] as number;
    if (turn > 0 && spent + cost > budget) continue;
    // The first few share most of the budget, so that several lengths are looked at.
    const affordable = Math.floor((budget - spent) / (turn < 4 ? 5 - turn : 1) / cost);
    const heads = sampleHeads(size, Math.max(1, Math.min(size, affordable, 16)), random);
    spent += cost * heads.length;
    const part = takePart(division, problem, index, heads);
    const answers = kind.reference(part.problem);
    const values = answers.out?.values ?? new Float64Array(0);
    part.outRows.forEach((row, i) => {
      out.values.set(values.subarray(i * rowLength, (i + 1) * rowLength), row * rowLength);
      out.known[row] = 1;
    });
    part.lsePlaces.forEach((place, i) => {
      lse.values[place] = answers.lse?.values[i] as number;
      known[place] = 1;
      maxLogits.values[place] = answers.max_logits?.values[i] ?? 0;
    });
    hasMaxLogits ||= answers.max_logits !== undefined;
  }
  return hasMaxLogits ? { out, lse, max_logits: maxLogits } : { out, lse };
}

/** Operations of each part with one head of each group. At least a little, so that none is free. */
function partCosts<P extends Divisible>(division: Division<P>, problem: P): number[] {
  const columns = (problem.q.shape.at(-1) as number) + division.headDimV(problem);
  const perPair = 2 * columns * division.headsKv(problem);
  return Array.from(
    { length: division.partsOf(problem) },
    (_, part) => 1 + division.pairsOf(problem, part) * perPair,
  );
}

/** Longest, shortest, last and first, then the others in random order. */
function samplingOrder(costs: readonly number[], random: Random): number[] {
  const byCost = costs.map((_, i) => i).sort((a, b) => (costs[b] ?? 0) - (costs[a] ?? 0));
  const [longest = 0] = byCost;
  const chosen = [longest, byCost.at(-1) ?? 0, costs.length - 1, 0];
  const others = random.shuffle(costs.map((_, i) => i));
  return [...new Set([...chosen, ...others])];
}

function sampleHeads(size: number, count: number, random: Random): number[] {
  const heads = random.shuffle(Array.from({ length: size - 1 }, (_, h) => h)).slice(0, count - 1);
  return [...heads, size - 1].sort((a, b) => a - b);
}
