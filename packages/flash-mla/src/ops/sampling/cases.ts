import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { defineCases } from '../conformance/suite/define-cases.ts';
import { drawNormals } from '../conformance/suite/draw-rows.ts';
import type { Random } from '../conformance/suite/random.ts';
import { exact, roundingOf } from '../conformance/tolerance.ts';
import { type SampleProblem, sampleTokens as sampleReference } from './reference.ts';
import { type SampleTokensOptions, sampleTokens } from './sample-tokens.ts';

interface SampleParams {
  readonly op: 'sample-tokens';
  readonly rows: number;
  readonly vocabulary: number;
  readonly logits: 'bf16' | 'f32';
  readonly greedy?: boolean;
  readonly topK?: boolean;
  readonly topP?: boolean;
  readonly minP?: boolean;
  readonly bias?: boolean;
  readonly allowed?: boolean;
  readonly penalties?: boolean;
  readonly numTop?: number;
  readonly gap?: number;
  readonly graph?: boolean;
}

const f32 = { op: 'sample-tokens', logits: 'f32' } as const;

const quick: readonly SampleParams[] = [
  { ...f32, rows: 5, vocabulary: 1000, greedy: true },
  { ...f32, rows: 6, vocabulary: 333, greedy: true, bias: true, allowed: true, gap: 3 },
  { ...f32, logits: 'bf16', rows: 6, vocabulary: 1500, greedy: true, penalties: true },
  { ...f32, rows: 2, vocabulary: 9001, greedy: true, bias: true },
  { ...f32, rows: 40, vocabulary: 100, numTop: 5 },
  { ...f32, rows: 20, vocabulary: 500, topK: true },
  { ...f32, rows: 20, vocabulary: 500, topP: true, gap: 3 },
  { ...f32, rows: 20, vocabulary: 500, minP: true, numTop: 1 },
  { ...f32, rows: 20, vocabulary: 333, bias: true, allowed: true },
  { ...f32, rows: 20, vocabulary: 333, penalties: true },
  {
    ...f32,
    logits: 'bf16',
    rows: 20,
    vocabulary: 700,
    topK: true,
    topP: true,
    minP: true,
    numTop: 20,
  },
  { ...f32, rows: 3, vocabulary: 1, numTop: 1, graph: true },
];

function vector(rows: number, of: (row: number) => number): HostTensor<'f32'> {
  return {
    dtype: 'f32',
    shape: [rows],
    data: Float32Array.from({ length: rows }, (_, i) => of(i)),
  };
}

/** Bits of tokens, each set with a probability; a row without any is among them. */
function bits(rows: number, words: number, random: Random): HostTensor<'i32'> {
  const data = Int32Array.from({ length: rows * words }, () => random.bits() & random.bits());
  data.fill(0, 0, words);
  return { dtype: 'i32', shape: [rows, words], data };
}

export const sampleCases = defineCases<SampleParams, SampleProblem>({
  quick,
  full: [1, 8, 64].map((rows) => ({ ...f32, rows, vocabulary: 32_000, topP: true, numTop: 3 })),
  cost: ({ rows, vocabulary }) => rows * vocabulary * 40,
  excluded: () => ({ webgpu: 'WebGPU has no kernel for tokens' }),

  problem(params, random) {
    const { rows, vocabulary, penalties, greedy, topK, topP, minP, bias, allowed } = params;
    const words = Math.ceil(vocabulary / 32);
    const ints = (of: (row: number) => number): HostTensor<'i32'> => ({
      ...{ dtype: 'i32', shape: [rows], data: Int32Array.from({ length: rows }, (_, i) => of(i)) },
    });
    const seeds = BigInt64Array.from(
      { length: rows },
      () => BigInt(random.bits()) * 2n ** 21n - 5n,
    );
    const counts = Int32Array.from({ length: rows * vocabulary }, () =>
      random.chance(0.2) ? random.integer(0, 4) : 0,
    );
    return {
      logits: drawNormals(random.stream('logits'), params.logits, [rows, vocabulary], 3),
      ...(!greedy && {
        // One row of them takes the likeliest token.
        temperature: vector(rows, (row) => (row === 1 ? 0 : 0.3 + random.uniform())),
        ...{
          seeds: { dtype: 'i64', shape: [rows], data: seeds } as const,
          positions: ints((i) => 7 * i),
        },
      }),
      ...(topK && { topK: ints((row) => (row % 4) * 9 - 1) }),
      ...(topP && { topP: vector(rows, (row) => (row % 3 === 0 ? 1 : random.uniform())) }),
      ...(minP && { minP: vector(rows, (row) => (row % 3) * 0.2) }),
      ...(bias && { bias: drawNormals(random.stream('bias'), 'f32', [rows, vocabulary], 2) }),
      ...(allowed && { allowed: bits(rows, words, random.stream('allowed')) }),
      ...(penalties && {
        inSequence: bits(rows, words, random.stream('sequence')),
        generated: { dtype: 'i32', shape: [rows, vocabulary], data: counts } as const,
        repetitionPenalty: vector(rows, (row) => 1 + (row % 3) * 0.5),
        presencePenalty: vector(rows, (row) => (row % 2) * 0.75),
        frequencyPenalty: vector(rows, (row) => (row % 4) * 0.5),
      }),
    };
  },

  expected(problem, { numTop = 0 }) {
    const { tokens, logprobs, topTokens, topLogprobs } = sampleReference(problem, numTop);
    const tolerance = roundingOf('f32');
    return {
      tokens: { values: tokens, tolerance: exact },
      logprobs: { values: logprobs, tolerance },
      ...(numTop > 0 && {
        topTokens: { values: topTokens, rowLength: numTop, tolerance: exact },
        topLogprobs: { values: topLogprobs, rowLength: numTop, tolerance },
      }),
    };
  },

  upload(uploads, { logits, ...problem }, { rows, numTop = 0, gap = 0 }) {
    const given = gap > 0 ? uploads.putStrided(logits, gap) : uploads.put(logits);
    const restrictions = Object.fromEntries(
      Object.entries(problem).map(([name, host]) => [name, uploads.put(host as HostTensor)]),
    );
    const options = {
      ...restrictions,
      ...{ logits: given, tokens: uploads.poisoned([rows], 'i32'), numTopLogprobs: numTop },
    } as unknown as SampleTokensOptions;
    return () => {
      const { tokens, logprobs, topTokens, topLogprobs } = sampleTokens(options);
      const top = topTokens && topLogprobs ? { topTokens, topLogprobs } : {};
      return { tokens, logprobs, ...top } as Record<string, Tensor>;
    };
  },
});
