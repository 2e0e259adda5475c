import { decodeAll, type HostTensor } from '@flash-mla/core';
import { randomAt } from './philox.ts';

/** Arguments of {@link sampleTokens} on the host, of the shapes that the public function takes. */
export interface SampleProblem {
  readonly logits: HostTensor;
  readonly temperature?: HostTensor<'f32'> | undefined;
  readonly topK?: HostTensor<'i32'> | undefined;
  readonly topP?: HostTensor<'f32'> | undefined;
  readonly minP?: HostTensor<'f32'> | undefined;
  readonly seeds?: HostTensor<'i64'> | undefined;
  readonly positions?: HostTensor<'i32'> | undefined;
  readonly bias?: HostTensor<'f32'> | undefined;
  readonly allowed?: HostTensor<'i32'> | undefined;
  readonly inSequence?: HostTensor<'i32'> | undefined;
  readonly generated?: HostTensor<'i32'> | undefined;
  readonly repetitionPenalty?: HostTensor<'f32'> | undefined;
  readonly presencePenalty?: HostTensor<'f32'> | undefined;
  readonly frequencyPenalty?: HostTensor<'f32'> | undefined;
}

export interface SampleAnswer {
  readonly tokens: Float64Array;
  readonly logprobs: Float64Array;
  readonly topTokens: Float64Array;
  readonly topLogprobs: Float64Array;
}

const impossible = Number.NEGATIVE_INFINITY;

/** Draws a token for each row, in float64. */
export function sampleTokens(problem: SampleProblem, numTop: number): SampleAnswer {
  const [rows = 0, vocabulary = 0] = problem.logits.shape;
  const logits = decodeAll(problem.logits);
  const answer = {
    ...{ tokens: new Float64Array(rows), logprobs: new Float64Array(rows) },
    topTokens: new Float64Array(rows * numTop),
    topLogprobs: new Float64Array(rows * numTop),
  };
  for (let row = 0; row < rows; row++) {
    const raw = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
    const token = draw(restricted(problem, raw, row), problem, row);
    const normalizer = logSumExp(raw);
    answer.tokens[row] = token;
    answer.logprobs[row] = (raw[token] as number) - normalizer;
    byScore(raw)
      .slice(0, numTop)
      .forEach((best, i) => {
        answer.topTokens[row * numTop + i] = best;
        answer.topLogprobs[row * numTop + i] = (raw[best] as number) - normalizer;
      });
  }
  return answer;
}

/** Logits after bias, allowed tokens and penalties. */
function restricted(problem: SampleProblem, raw: Float64Array, row: number): Float64Array {
  const { bias, allowed, inSequence, generated } = problem;
  const repetition = problem.repetitionPenalty?.data[row] ?? 1;
  const presence = problem.presencePenalty?.data[row] ?? 0;
  const frequency = problem.frequencyPenalty?.data[row] ?? 0;
  const words = Math.ceil(raw.length / 32);
  const has = (bits: HostTensor<'i32'>, token: number) =>
    (((bits.data[row * words + (token >> 5)] as number) >>> (token & 31)) & 1) === 1;
  return raw.map((logit, token) => {
    if (allowed && !has(allowed, token)) return impossible;
    let score = logit + (bias?.data[row * raw.length + token] ?? 0);
    if (inSequence && has(inSequence, token)) {
      score = score > 0 ? score / repetition : score * repetition;
    }
    const count = generated?.data[row * raw.length + token] ?? 0;
    return count > 0 ? score - presence - count * frequency : score;
  });
}

/** Tokens by falling score, of equals the lower one first; without those that are impossible. */
function byScore(scores: Float64Array): number[] {
  const order = Array.from(scores.keys()).filter((token) => (scores[token] as number) > impossible);
  return order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
}

function draw(scores: Float64Array, problem: SampleProblem, row: number): number {
  const order = byScore(scores);
  const temperature = problem.temperature?.data[row] ?? 0;
  if (temperature <= 0 || order.length === 0) return order[0] ?? 0;
  const topK = problem.topK?.data[row] ?? 0;
  const topP = problem.topP?.data[row] ?? 1;
  const minP = problem.minP?.data[row] ?? 0;
  if (topK > 0) order.length = Math.min(order.length, topK);
  const best = scores[order[0] as number] as number;
  const weights = order.map((token) => Math.exp(((scores[token] as number) - best) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let [kept, mass] = [0, 0];
  while (kept < weights.length && (kept === 0 || mass < topP * total)) {
    const weight = weights[kept] as number;
    if (kept > 0 && weight < minP) break;
    mass += weight;
    kept++;
  }
  let rest = randomAt(problem.seeds?.data[row] ?? 0n, problem.positions?.data[row] ?? 0) * mass;
  for (let i = 0; i < kept; i++) {
    rest -= weights[i] as number;
    if (rest < 0) return order[i] as number;
  }
  return order[kept - 1] as number;
}

function logSumExp(logits: Float64Array): number {
  const most = logits.reduce((a, b) => Math.max(a, b), impossible);
  return most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
}
