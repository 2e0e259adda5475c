import type { SafetensorsFile } from '@flash-mla/safetensors';
import { CheckpointError, shown } from '../errors.ts';
import type { LayerCache } from '../layers/attention.ts';
import { makeBatch } from '../layers/batch.ts';
import type { Decoder } from '../layers/decoder.ts';

/** How far a model's answers to one prompt are from recorded ones. */
export interface PromptCheck {
  readonly prompt: number;
  readonly promptTokens: number;
  /** Positions whose logits were compared. */
  readonly positions: number;
  /** Largest |logit − recorded logit|. */
  readonly maxError: number;
  /** √(Σ (logit − recorded)² / Σ recorded²) */
  readonly relativeError: number;
  /** The same of the median position: an expert that is chosen otherwise at one position does not show. */
  readonly medianRelativeError: number;
  /** Largest Kullback-Leibler divergence of the distributions of a position, in nats. */
  readonly maxDivergence: number;
  /** Positions where the likeliest token is the recorded one, … */
  readonly bestAgree: number;
  /** … and those where it is not although the recorded one is ahead by more than 0.1. */
  readonly bestDisagreeClearly: number;
  /** Leading greedy tokens that are the recorded ones, of how many up to the end token. */
  readonly greedyAgree: number;
  readonly greedyTokens: number;
  /** Where greedy tokens part: how far the recorded one lies below the likeliest. */
  readonly greedyGap: number | undefined;
}

/** A margin above which the likeliest token is no matter of rounding. */
const clearMargin = 0.1;

/**
 * Compares a model with the answers in a file: for prompts i = 0, 1, … `i.input_ids`, `i.logits`,
 * `i.greedy`, and `i.positions` of the logits (without them, the last positions of the prompt). Throws
 * {@link CheckpointError} for answers of another model, and FileFormatError.
 */
export async function* checkAnswers<Matrix>(
  decoder: Decoder<Matrix>,
  answers: SafetensorsFile,
  { pageSize, createCache, release }: CheckDevice<Matrix>,
): AsyncGenerator<PromptCheck> {
  for (let prompt = 0; answers.has(`${prompt}.input_ids`); prompt++) {
    const recorded = await readAnswers(answers, prompt, decoder.config);
    const { tokens, positions, logits, greedy } = recorded;
    const length = tokens.length + greedy.length;
    const pages = Array.from({ length: Math.ceil(length / pageSize) }, (_, i) => i);
    const cache = createCache(pages.length);
    try {
      const rows = Int32Array.from([...positions, tokens.length - 1]);
      const batch = makeBatch([{ tokens, start: 0, pages }]);
      const { vocabSize, logits: all } = await decoder.forward(batch, cache, rows);
      const own = all.subarray(0, positions.length * vocabSize);
      const last = all.subarray(positions.length * vocabSize);
      yield {
        prompt,
        promptTokens: tokens.length,
        positions: positions.length,
        ...compareLogits(own, logits, vocabSize),
        ...(await followGreedy(decoder, cache, pages, tokens.length, last, greedy)),
      };
    } finally {
      release(cache);
    }
  }
}

/** Where the cache of a check comes from. */
export interface CheckDevice<Matrix> {
  readonly pageSize: number;
  createCache(pages: number): LayerCache<Matrix>[];
  release(cache: readonly LayerCache<Matrix>[]): void;
}

async function readAnswers(
  file: SafetensorsFile,
  prompt: number,
  { vocabSize, eosTokenIds }: Decoder<unknown>['config'],
) {
  const { data: tokens } = await file.read(`${prompt}.input_ids`, 'i32');
  const { data: logits } = await file.read(`${prompt}.logits`, 'f32');
  const { data: greedy } = await file.read(`${prompt}.greedy`, 'i32');
  const rows = logits.length / vocabSize;
  const name = `${prompt}.positions`;
  const positions = file.has(name)
    ? (await file.read(name, 'i32')).data
    : Int32Array.from({ length: Math.floor(rows) }, (_, i) => tokens.length - rows + i);
  const isToken = (token: number) => token >= 0 && token < vocabSize;
  const fits =
    tokens.length > 0 &&
    rows === positions.length &&
    positions.every((position) => position >= 0 && position < tokens.length) &&
    tokens.every(isToken) &&
    greedy.every(isToken);
  if (!fits) {
    throw new CheckpointError({
      subject: `${file.name}: answers to prompt ${prompt}`,
      expected: `tokens below ${vocabSize} and as many logits for each position`,
      actual: `${shown(tokens.length)} tokens, ${positions.length} positions, ${logits.length} logits`,
      remedy: 'Use answers that were recorded with this model.',
    });
  }
  const end = greedy.findIndex((token) => eosTokenIds.includes(token));
  return { tokens, positions, logits, greedy: end === -1 ? greedy : greedy.subarray(0, end + 1) };
}

function compareLogits(own: Float32Array, recorded: Float32Array, vocabSize: number) {
  const maxError = recorded.reduce(
    // A NaN stays one: it must not pass for a small error.
    (most, expected, i) => Math.max(most, Math.abs((own[i] as number) - expected)),
    0,
  );
  const relativeErrors: number[] = [];
  let maxDivergence = 0;
  let bestAgree = 0;
  let bestDisagreeClearly = 0;
  for (let begin = 0; begin < recorded.length; begin += vocabSize) {
    const a = recorded.subarray(begin, begin + vocabSize);
    const b = own.subarray(begin, begin + vocabSize);
    relativeErrors.push(relativeDifference(a, b));
    const divergence = divergenceOf(a, b);
    maxDivergence = Math.max(maxDivergence, divergence);
    const chosen = bestOf(b);
    if (chosen === bestOf(a)) bestAgree++;
    else if (Math.max(...a) - (a[chosen] ?? -Infinity) > clearMargin) bestDisagreeClearly++;
  }
  const relativeError = relativeDifference(recorded, own);
  relativeErrors.sort((a, b) => a - b);
  const medianRelativeError = relativeErrors[relativeErrors.length >> 1] ?? 0;
  const errors = { maxError, relativeError, medianRelativeError, maxDivergence };
  return { ...errors, bestAgree, bestDisagreeClearly };
}

/** √(Σ (b − a)² / Σ a²) */
function relativeDifference(a: Float32Array, b: Float32Array): number {
  const squares = a.reduce((sum, value, i) => sum + ((b[i] as number) - value) ** 2, 0);
  const norm = a.reduce((sum, value) => sum + value ** 2, 0);
  return norm > 0 ? Math.sqrt(squares / norm) : Math.sqrt(squares);
}

/** Feeds the recorded tokens as long as the model takes the same ones. */
async function followGreedy<Matrix>(
  decoder: Decoder<Matrix>,
  cache: readonly LayerCache<Matrix>[],
  pages: readonly number[],
  start: number,
  first: Float32Array,
  greedy: Int32Array,
) {
  let logits = first;
  let agree = 0;
  let gap: number | undefined;
  for (const token of greedy) {
    const best = bestOf(logits);
    if (best !== token) {
      gap = (logits[best] ?? Number.NaN) - (logits[token] ?? Number.NaN);
      break;
    }
    agree++;
    if (agree === greedy.length) break;
    const next = makeBatch([{ tokens: [token], start: start + agree - 1, pages }]);
    ({ logits } = await decoder.forward(next, cache, Int32Array.of(0)));
  }
  return { greedyAgree: agree, greedyTokens: greedy.length, greedyGap: gap };
}

function bestOf(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) {
    if ((logits[i] as number) > (logits[best] as number)) best = i;
  }
  return best;
}

/** Σ p · ln(p / q) of the two softmax distributions. */
function divergenceOf(p: Float32Array, q: Float32Array): number {
  const logP = logSoftmax(p);
  const logQ = logSoftmax(q);
  return logP.reduce((sum, value, i) => sum + Math.exp(value) * (value - (logQ[i] as number)), 0);
}

function logSoftmax(logits: Float32Array): Float64Array {
  const max = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const sum = logits.reduce((total, value) => total + Math.exp(value - max), 0);
  return Float64Array.from(logits, (value) => value - max - Math.log(sum));
}
