import type { SlotStart, TokenLogprobs, TokenMask } from '@flash-mla/engine';
import { type SampledTokens, sampleTokens } from '../ops/sampling/index.ts';
import type { Device } from '../runtime/device/device.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { DeviceMatrix } from './device-operations.ts';

/** A row of logits, and how its token is drawn. */
export interface DrawnRow {
  readonly start: SlotStart;
  /** Of a request that names none. */
  readonly ownSeed: number;
  /** Of the token. */
  readonly position: number;
  readonly mask: TokenMask | undefined;
}

/** Whether nothing but the likeliest token is asked for. */
export function isLikeliest({ start, mask, position }: DrawnRow): boolean {
  const { temperature, logprobs } = start.sampling;
  return temperature === 0 && logprobs === undefined && !isRestricted({ start, mask, position });
}

/** Whether the host draws the token: it has the counts of penalties, and biases are few. */
export function isOfHost({ sampling }: SlotStart): boolean {
  const { logitBias = [], repetitionPenalty = 1 } = sampling;
  const { presencePenalty = 0, frequencyPenalty = 0 } = sampling;
  return (
    logitBias.length > 0 ||
    repetitionPenalty !== 1 ||
    presencePenalty !== 0 ||
    frequencyPenalty !== 0
  );
}

/** Log-probabilities of drawn tokens on their way to the host. */
export interface DrawnLogprobs {
  read(row: number, token: number): TokenLogprobs | undefined;
}

/**
 * Enqueues the drawing of a token for each row; the rows of logits behind them pad the batch, and get their
 * likeliest token.
 *
 * @param tokens i32 (rows of logits), to write to.
 */
export function drawTokens(
  device: Device,
  logits: DeviceMatrix,
  tokens: Tensor<'i32'>,
  rows: readonly DrawnRow[],
): Promise<DrawnLogprobs> {
  const { 0: count = 0, 1: vocabSize = 0 } = logits.shape;
  const made: Tensor[] = [];
  const upload = <D extends 'f32' | 'i32' | 'i64'>(
    dtype: D,
    of: (row: DrawnRow) => number,
  ): Tensor<D> => {
    const values = Array.from({ length: count }, (_, i) => {
      const row = rows[i];
      return row === undefined ? 0 : of(row);
    });
    const data = dtype === 'i64' ? BigInt64Array.from(values, BigInt) : values;
    const tensor = device.tensor(data, [count], dtype);
    made.push(tensor);
    return tensor;
  };
  const numTop = Math.max(0, ...rows.map(({ start }) => start.sampling.logprobs ?? 0));
  const allowed = allowedBits(rows, count, vocabSize);
  try {
    const bits = allowed && device.tensor(allowed, [count, allowed.length / count], 'i32');
    if (bits) made.push(bits);
    const drawn = sampleTokens({
      ...{ logits, tokens, allowed: bits, numTopLogprobs: Math.min(numTop, vocabSize) },
      temperature: upload('f32', ({ start }) => start.sampling.temperature),
      topK: upload('i32', ({ start }) => start.sampling.topK ?? 0),
      topP: upload('f32', ({ start }) => start.sampling.topP ?? 1),
      minP: upload('f32', ({ start }) => start.sampling.minP ?? 0),
      seeds: upload('i64', ({ start, ownSeed }) => start.sampling.seed ?? ownSeed),
      positions: upload('i32', ({ position }) => position),
    });
    const { logprobs, topTokens, topLogprobs } = drawn;
    for (const tensor of [logprobs, topTokens, topLogprobs]) if (tensor) made.push(tensor);
    return readLogprobs(drawn, rows);
  } finally {
    for (const tensor of made) tensor.dispose();
  }
}

async function readLogprobs(
  { logprobs, topTokens, topLogprobs }: SampledTokens,
  rows: readonly DrawnRow[],
): Promise<DrawnLogprobs> {
  const asked = rows.some(({ start }) => start.sampling.logprobs !== undefined);
  if (!asked) return { read: () => undefined };
  const numTop = topTokens?.shape[1] ?? 0;
  const [own, best, scores] = await Promise.all([
    logprobs.read(),
    topTokens?.read(),
    topLogprobs?.read(),
  ]);
  return {
    read(row, token) {
      const wanted = rows[row]?.start.sampling.logprobs;
      if (wanted === undefined) return undefined;
      const top = Array.from({ length: Math.min(wanted, numTop) }, (_, i) => ({
        token: best?.[row * numTop + i] ?? 0,
        logprob: scores?.[row * numTop + i] ?? 0,
      }));
      return { token, logprob: own[row] ?? 0, top };
    },
  };
}

function isRestricted({ start, mask, position }: Omit<DrawnRow, 'ownSeed'>): boolean {
  const { sampling, suppressed } = start;
  const isEarly = suppressed !== undefined && position < suppressed.before;
  return mask !== undefined || sampling.allowedTokens !== undefined || isEarly;
}

/** A bit for each token of each row; undefined where all are allowed. */
function allowedBits(
  rows: readonly DrawnRow[],
  count: number,
  vocabSize: number,
): Int32Array | undefined {
  if (!rows.some(isRestricted)) return undefined;
  const words = Math.ceil(vocabSize / 32);
  const bits = new Int32Array(count * words).fill(-1);
  for (const [i, row] of rows.entries()) {
    const own = bits.subarray(i * words, (i + 1) * words);
    const { sampling, suppressed } = row.start;
    const { mask } = row;
    if (sampling.allowedTokens !== undefined) {
      own.fill(0);
      for (const token of sampling.allowedTokens) {
        if (token < vocabSize) own[token >> 5] = (own[token >> 5] ?? 0) | (1 << (token & 31));
      }
    }
    if (mask !== undefined) for (let w = 0; w < words; w++) own[w] = (own[w] ?? 0) & (mask[w] ?? 0);
    if (suppressed === undefined || row.position >= suppressed.before) continue;
    for (const token of suppressed.tokens) {
      if (token < vocabSize) own[token >> 5] = (own[token >> 5] ?? 0) & ~(1 << (token & 31));
    }
  }
  return bits;
}
