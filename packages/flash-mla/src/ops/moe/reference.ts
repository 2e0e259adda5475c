import { decodeAll, type HostTensor } from '@flash-mla/core';

/** Arguments of {@link routeExperts} on the host. */
export interface RouteProblem {
  /** (rows, experts). */
  readonly logits: HostTensor;
  readonly bias: HostTensor<'f32'> | undefined;
  readonly topK: number;
  readonly scoring: 'softmax' | 'sigmoid';
  readonly groups: number;
  readonly topGroups: number;
  readonly groupScore: 'max' | 'top2';
  readonly normalize: boolean;
  readonly scale: number;
  readonly sharedExperts?: number;
}

/** (rows, topK + sharedExperts). */
export interface RouteAnswer {
  readonly experts: Float64Array;
  readonly weights: Float64Array;
}

/** The experts of each row and their weights, in float64. */
export function routeExperts(problem: RouteProblem): RouteAnswer {
  const [rows = 0, count = 0] = problem.logits.shape;
  const { topK, sharedExperts = 0 } = problem;
  const places = topK + sharedExperts;
  const logits = decodeAll(problem.logits);
  const experts = new Float64Array(rows * places);
  const weights = new Float64Array(rows * places);
  for (let row = 0; row < rows; row++) {
    const scores = scoresOf(logits.subarray(row * count, (row + 1) * count), problem.scoring);
    const choice = scores.map((score, e) => score + (problem.bias?.data[e] ?? 0));
    maskGroups(choice, problem);
    const chosen = best(choice, topK);
    const sum = chosen.reduce((total, e) => total + (scores[e] as number), 1e-20);
    chosen.forEach((e, k) => {
      experts[row * places + k] = e;
      const weight = (scores[e] as number) / (problem.normalize ? sum : 1);
      weights[row * places + k] = weight * problem.scale;
    });
    for (let s = 0; s < sharedExperts; s++) {
      experts[row * places + topK + s] = count + s;
      weights[row * places + topK + s] = 1;
    }
  }
  return { experts, weights };
}

function scoresOf(logits: Float64Array, scoring: RouteProblem['scoring']): Float64Array {
  if (scoring === 'sigmoid') return logits.map((logit) => 1 / (1 + Math.exp(-logit)));
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Takes the experts of all but the best groups out of the choice. */
function maskGroups(choice: Float64Array, { groups, topGroups, groupScore }: RouteProblem): void {
  if (topGroups === groups) return;
  const size = choice.length / groups;
  const scores = Float64Array.from({ length: groups }, (_, g) => {
    const [first = 0, second = 0] = [...choice.subarray(g * size, (g + 1) * size)].sort(
      (a, b) => b - a,
    );
    return groupScore === 'max' || size === 1 ? first : first + second;
  });
  const kept = new Set(best(scores, topGroups));
  for (let e = 0; e < choice.length; e++) {
    if (!kept.has(Math.floor(e / size))) choice[e] = Number.NEGATIVE_INFINITY;
  }
}

/** The places of the largest values; of equals, the first ones. */
function best(values: Float64Array, count: number): number[] {
  const order = Array.from(values, (_, i) => i);
  return order
    .sort((a, b) => (values[b] as number) - (values[a] as number) || a - b)
    .slice(0, count);
}

/** Arguments of {@link expertMlp} on the host. Weights times their scales. */
export interface ExpertProblem {
  /** (rows, hidden). */
  readonly x: HostTensor;
  /** (rows, topK). */
  readonly experts: HostTensor<'i32'>;
  readonly weights: HostTensor<'f32'>;
  /** (experts, 2 · width, hidden) and (experts, hidden, width). */
  readonly gateUp: Float64Array;
  readonly down: Float64Array;
  readonly width: number;
  readonly count: number;
  readonly residual: HostTensor | undefined;
}

/** The weighted sum of the experts of each row, in float64. */
export function expertMlp(problem: ExpertProblem): Float64Array {
  const { experts, weights, gateUp, down, width, count } = problem;
  const [rows = 0, hidden = 0] = problem.x.shape;
  const topK = experts.shape[1] as number;
  const x = decodeAll(problem.x);
  const out = problem.residual ? decodeAll(problem.residual) : new Float64Array(rows * hidden);
  const dot = (a: Float64Array, at: number, b: Float64Array, from: number, n: number) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += (a[at + i] as number) * (b[from + i] as number);
    return sum;
  };
  for (let pair = 0; pair < rows * topK; pair++) {
    const expert = experts.data[pair] as number;
    if (expert < 0 || expert >= count) continue;
    const row = Math.floor(pair / topK);
    const first = expert * 2 * width;
    const activated = Float64Array.from({ length: width }, (_, i) => {
      const gate = dot(gateUp, (first + i) * hidden, x, row * hidden, hidden);
      const up = dot(gateUp, (first + width + i) * hidden, x, row * hidden, hidden);
      return (gate / (1 + Math.exp(-gate))) * up;
    });
    const weight = weights.data[pair] as number;
    for (let c = 0; c < hidden; c++) {
      const at = row * hidden + c;
      const value = dot(down, (expert * hidden + c) * width, activated, 0, width);
      out[at] = (out[at] as number) + weight * value;
    }
  }
  return out;
}
