import type { RoutingConfig } from '../config/model-config.ts';

/** The experts of one token, by rising number, and what each counts. */
export interface Route {
  readonly experts: readonly number[];
  readonly weights: readonly number[];
}

/** Chooses the experts of a token by the router's logits. Of equal scores the lower number wins. */
export function route(
  logits: Float32Array,
  bias: Float32Array | undefined,
  routing: RoutingConfig,
): Route {
  const scores = scoresOf(logits, routing.scores);
  const choice = bias === undefined ? scores : scores.map((score, e) => score + (bias[e] ?? 0));
  const eligible = eligibleExperts(choice, routing);
  const experts = best(eligible, choice, routing.topK).sort((a, b) => a - b);
  const chosen = experts.map((e) => scores[e] ?? 0);
  // The bias chooses; it must not leak into the weights.
  const sum = routing.normalize ? chosen.reduce((total, score) => total + score, 1e-20) : 1;
  return { experts, weights: chosen.map((score) => (score / sum) * routing.scale) };
}

function scoresOf(logits: Float32Array, kind: RoutingConfig['scores']): number[] {
  if (kind === 'sigmoid') return Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
  const max = Math.max(...logits);
  const exponentials = Array.from(logits, (logit) => Math.exp(logit - max));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}

/** Experts of the groups that take part. */
function eligibleExperts(
  choice: readonly number[],
  { numGroups, topGroups, groupScore }: RoutingConfig,
): number[] {
  const all = choice.map((_, e) => e);
  if (numGroups === 1 || topGroups === numGroups) return all;
  const size = choice.length / numGroups;
  const groups = Array.from({ length: numGroups }, (_, g) => g);
  const scores = groups.map((g) => {
    const sorted = choice.slice(g * size, (g + 1) * size).sort((a, b) => b - a);
    const counted = groupScore === 'best' ? 1 : 2;
    return sorted.slice(0, counted).reduce((sum, score) => sum + score, 0);
  });
  const chosen = new Set(best(groups, scores, topGroups));
  return all.filter((e) => chosen.has(Math.floor(e / size)));
}

/** Those `count` of the candidates with the highest scores. */
function best(candidates: readonly number[], scores: readonly number[], count: number): number[] {
  return [...candidates]
    .sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
    .slice(0, count);
}
