import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkInteger,
  checkNotEmpty,
  optionNames,
  readOptions,
} from '../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkContiguous,
  checkMatrix,
  checkShape,
  takeContiguous,
} from '../../runtime/operation/tensors.ts';
import type { Tensor, TensorHost } from '../../runtime/tensor/tensor.ts';
import { maxTopLogprobs } from './limits.ts';
import { sampleTokensOperation } from './operation.ts';

/** Arguments of {@link sampleTokens}. What is left out restricts nothing. */
export interface SampleTokensOptions {
  /** (rows, vocabulary), rows may be apart. `rows` may be 0. */
  readonly logits: Tensor<'bf16' | 'f32'>;
  /** (rows): 0 takes the likeliest token. Left out, all rows do. */
  readonly temperature?: Tensor<'f32'> | null | undefined;
  /** (rows): only so many of the likeliest tokens; 0 or less means all. */
  readonly topK?: Tensor<'i32'> | null | undefined;
  /** (rows): only the likeliest tokens whose probabilities add up to this; at least one. */
  readonly topP?: Tensor<'f32'> | null | undefined;
  /** (rows): only tokens at least this likely, relative to the likeliest one. */
  readonly minP?: Tensor<'f32'> | null | undefined;
  /** (rows): with the position, all that what is drawn depends on. Needed with `temperature`. */
  readonly seeds?: Tensor<'i64'> | null | undefined;
  /** (rows). Needed with `temperature`. */
  readonly positions?: Tensor<'i32'> | null | undefined;
  /** (rows, vocabulary), contiguous: added to the logits. */
  readonly bias?: Tensor<'f32'> | null | undefined;
  /** (rows, ⌈vocabulary / 32⌉), contiguous: bit t mod 32 of word t / 32 is 1 where token t is allowed. */
  readonly allowed?: Tensor<'i32'> | null | undefined;
  /** Such bits for the tokens that are in the sequence: those of `repetitionPenalty`. */
  readonly inSequence?: Tensor<'i32'> | null | undefined;
  /** (rows, vocabulary), contiguous: how often each token was generated. */
  readonly generated?: Tensor<'i32'> | null | undefined;
  /** (rows): divides logits above 0 of tokens in the sequence, multiplies those below. */
  readonly repetitionPenalty?: Tensor<'f32'> | null | undefined;
  /** (rows): taken off the logits of generated tokens, once. */
  readonly presencePenalty?: Tensor<'f32'> | null | undefined;
  /** (rows): taken off the logits of generated tokens, as often as they were generated. */
  readonly frequencyPenalty?: Tensor<'f32'> | null | undefined;
  /** How many of the likeliest tokens to report; 0 (default) to 64, and not above the vocabulary. */
  readonly numTopLogprobs?: number | null | undefined;
  /** (rows), contiguous, to write to. Default: a new tensor. */
  readonly tokens?: Tensor<'i32'> | null | undefined;
}

/** What {@link sampleTokens} gives. */
export interface SampledTokens {
  /** (rows). */
  readonly tokens: Tensor<'i32'>;
  /** (rows): log-probabilities of these tokens by the logits as they were given. */
  readonly logprobs: Tensor<'f32'>;
  /** (rows, numTopLogprobs): the likeliest tokens by the same logits, in falling order. */
  readonly topTokens: Tensor<'i32'> | undefined;
  readonly topLogprobs: Tensor<'f32'> | undefined;
}

const known = optionNames<keyof SampleTokensOptions>(
  ...([
    ...(['logits', 'temperature', 'topK', 'topP', 'minP', 'seeds', 'positions'] as const),
    ...(['bias', 'allowed', 'inSequence', 'generated', 'repetitionPenalty'] as const),
    ...(['presencePenalty', 'frequencyPenalty', 'numTopLogprobs', 'tokens'] as const),
  ] as const),
);

/**
 * Draws a token for each row. In this order: bias, allowed tokens, penalties, temperature, top k, top p,
 * min p. Of the tokens that are left, by falling logit and of equals the lower one first, the one is
 * taken in whose share of the probability a random number falls: Philox 4×32-10 with the seed as its key
 * and the position as its counter. So a row draws the same token whoever its neighbours are. A row whose
 * tokens are all impossible gives token 0.
 *
 * Log-probabilities are those of the logits before all of this. Only enqueues, and may be recorded by
 * `device.capture`.
 *
 * Source: the options of vLLM's and OpenAI's APIs; Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3".
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function sampleTokens(options: SampleTokensOptions): SampledTokens {
  const given = readOptions(options, known);
  const { logits } = given;
  checkMatrix('logits', logits, 2, ['bf16', 'f32'] as const);
  checkNotEmpty('logits', logits, 1);
  const { device } = logits;
  const [rows = 0, vocabulary = 0] = logits.shape;
  const restrictions = checkRestrictions(given, rows, vocabulary, device);
  for (const [name, needed] of [
    ['seeds', 'temperature'],
    ['positions', 'temperature'],
    ['inSequence', 'repetitionPenalty'],
    ['generated', 'presencePenalty'],
    ['generated', 'frequencyPenalty'],
  ] as const) {
    if (restrictions[needed] === undefined || restrictions[name] !== undefined) continue;
    throw new InvalidArgumentError(name, `a tensor where there is a ${needed}`, 'none');
  }
  const most = Math.min(maxTopLogprobs, vocabulary);
  const numTop = checkInteger('numTopLogprobs', given.numTopLogprobs ?? 0, 0, most);
  const owned: Tensor[] = [];
  try {
    const tokens = takeContiguous('tokens', given.tokens, [rows], 'i32', device, owned);
    checkApart('tokens', tokens, { logits, ...restrictions });
    const take = <D extends 'i32' | 'f32'>(shape: number[], dtype: D) =>
      takeContiguous('logprobs', undefined, shape, dtype, device, owned);
    const logprobs = take([rows], 'f32');
    const topTokens = numTop > 0 ? take([rows, numTop], 'i32') : undefined;
    const topLogprobs = numTop > 0 ? take([rows, numTop], 'f32') : undefined;
    if (rows > 0) {
      device.backend.run(sampleTokensOperation, {
        ...restrictions,
        ...{ logits, tokens, logprobs, topTokens, topLogprobs },
      });
    }
    return { tokens, logprobs, topTokens, topLogprobs };
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}

/** The tensors that may be left out, and their shapes. */
const restrictionShapes = {
  temperature: ['f32', 'row'],
  topK: ['i32', 'row'],
  topP: ['f32', 'row'],
  minP: ['f32', 'row'],
  seeds: ['i64', 'row'],
  positions: ['i32', 'row'],
  bias: ['f32', 'token'],
  allowed: ['i32', 'word'],
  inSequence: ['i32', 'word'],
  generated: ['i32', 'token'],
  repetitionPenalty: ['f32', 'row'],
  presencePenalty: ['f32', 'row'],
  frequencyPenalty: ['f32', 'row'],
} as const;

type RestrictionName = keyof typeof restrictionShapes;
type Restrictions = Readonly<Record<RestrictionName, Tensor | undefined>>;

function checkRestrictions(
  given: SampleTokensOptions,
  rows: number,
  vocabulary: number,
  device: TensorHost,
): Restrictions {
  const shapes = {
    row: { shape: [rows], label: '(rows)' },
    token: { shape: [rows, vocabulary], label: '(rows, vocabulary)' },
    word: { shape: [rows, Math.ceil(vocabulary / 32)], label: '(rows, ⌈vocabulary / 32⌉)' },
  };
  const check = (name: RestrictionName): Tensor | undefined => {
    const tensor: unknown = given[name] ?? undefined;
    if (tensor === undefined) return undefined;
    const [dtype, kind] = restrictionShapes[name];
    const { shape, label } = shapes[kind];
    checkMatrix(name, tensor, shape.length, [dtype], device);
    checkShape(name, tensor, shape, label);
    checkContiguous(name, tensor);
    return tensor;
  };
  const names = Object.keys(restrictionShapes) as RestrictionName[];
  return Object.fromEntries(names.map((name) => [name, check(name)])) as unknown as Restrictions;
}
