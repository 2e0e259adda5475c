import { packedSpan } from '../../attention/reference/dense-attention.ts';
import { cachedTokens } from '../../attention/reference/dense-decode.ts';
import type { HostTensor } from '../../reference.ts';
import type { Problem } from '../problem.ts';
import { type ExpectedAnswers, referenceAnswers } from '../reference-answers.ts';
import type { Random } from './random.ts';
import {
  type Divisible,
  groupSize,
  isDivisible,
  kvHeads,
  partsOf,
  takePart,
} from './sub-problem.ts';

/**
 * Expected answers within a budget of floating-point operations. A problem within it is answered in
 * full. Of a larger one some rows are: requests chosen at random, the longest, shortest, first and last
 * among them, each with some heads of every group, the last among them. The reference needs about a
 * third of a nanosecond per operation on one core.
 */
export function sampledAnswers(problem: Problem, budget: number, random: Random): ExpectedAnswers {
  if (!isDivisible(problem)) return referenceAnswers(problem);
  const size = groupSize(problem);
  const costs = Array.from({ length: partsOf(problem) }, (_, i) => partCost(problem, i));
  const total = costs.reduce((sum, cost) => sum + cost, 0) * size;
  return total <= budget
    ? referenceAnswers(problem)
    : answerParts(problem, costs, size, budget, random);
}

function answerParts(
  problem: Divisible,
  costs: readonly number[],
  size: number,
  budget: number,
  random: Random,
): ExpectedAnswers {
  const { out, lse, max_logits } = emptyAnswers(problem);
  let spent = 0;
  const order = samplingOrder(costs, random);
  for (const [turn, index] of order.entries()) {
    const cost = costs[index] as number;
    if (turn > 0 && spent + cost > budget) continue;
    // The first few share most of the budget, so that several lengths are looked at.
    const affordable = Math.floor((budget - spent) / (turn < 4 ? 5 - turn : 1) / cost);
    const heads = sampleHeads(size, Math.max(1, Math.min(size, affordable, 16)), random);
    spent += cost * heads.length;
    const part = takePart(problem, index, heads);
    const answers = referenceAnswers(part.problem);
    const d = out.rowLength;
    const rows = answers.out?.values ?? new Float64Array(0);
    part.outRows.forEach((row, i) => {
      out.values.set(rows.subarray(i * d, (i + 1) * d), row * d);
      out.known[row] = 1;
    });
    part.lsePlaces.forEach((place, i) => {
      lse.values[place] = answers.lse?.values[i] as number;
      lse.known[place] = 1;
      if (answers.max_logits) max_logits.values[place] = answers.max_logits.values[i] as number;
    });
  }
  if (problem.op !== 'sparse-prefill') return { out, lse };
  return { out, lse, max_logits: { ...max_logits, known: lse.known } };
}

function emptyAnswers(problem: Divisible) {
  const rows = problem.q.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const rowLength = headDimV(problem);
  return {
    out: {
      values: new Float64Array(rows * rowLength),
      known: new Uint8Array(rows),
      rowLength,
    },
    lse: { values: new Float64Array(rows), known: new Uint8Array(rows) },
    max_logits: { values: new Float64Array(problem.op === 'sparse-prefill' ? rows : 0) },
  };
}

export function headDimV(problem: Divisible): number {
  switch (problem.op) {
    case 'dense-decode':
    case 'sparse-decode':
      return problem.headDimV;
    case 'sparse-prefill':
      return problem.dV;
    case 'varlen-attention':
      return problem.v.shape[2] as number;
    case 'cache-attention':
      return problem.vCache.shape[3] as number;
  }
}

/** Operations of one part with one head of each group. At least a little, so that none is free. */
function partCost(problem: Divisible, index: number): number {
  const perKey = 2 * ((problem.q.shape.at(-1) as number) + headDimV(problem)) * kvHeads(problem);
  switch (problem.op) {
    case 'dense-decode':
    case 'cache-attention': {
      const table = problem.blockTable ?? { dtype: 'i32', shape: [1, 1], data: new Int32Array(1) };
      const keys = cachedTokens(problem.cacheSeqlens, index, problem.kCache, table);
      return 1 + (problem.q.shape[1] as number) * keys * perKey;
    }
    case 'sparse-decode': {
      const topk = (problem.indices.shape[2] as number) + (problem.extra?.indices.shape[2] ?? 0);
      return 1 + (problem.q.shape[1] as number) * topk * perKey;
    }
    case 'sparse-prefill':
      return 1 + (problem.indices.shape[2] as number) * perKey;
    case 'varlen-attention': {
      const length = (offsets: HostTensor<'i32'>, total: number | undefined) => {
        const [begin, end] = packedSpan(offsets, index, total ?? 0);
        return end - begin;
      };
      const queries = length(problem.cuSeqlensQo, problem.q.shape[0]);
      return 1 + queries * length(problem.cuSeqlensKv, problem.k.shape[0]) * perKey;
    }
  }
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
