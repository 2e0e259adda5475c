import type { AttentionConfig } from '../config/model-config.ts';
import type { Sequence } from '../layers/batch.ts';
import type { AttentionCall } from '../layers/operations.ts';
import { matrix, type PlainMatrix, rowsOf } from './matrix.ts';
import { dotRows, mixRows } from './products.ts';

/** Tokens whose keys and values exist at the same time. */
const blockTokens = 256;

/** What a block of tokens is expanded to: a matrix for each. */
interface Block {
  /** (tokens, heads × (nope + v)) */
  readonly keyValue: PlainMatrix;
  /** (tokens, latent + rope): the rotated keys are in it. */
  readonly latents: PlainMatrix;
  /** Position of the first. */
  readonly begin: number;
}

/** Softmax of a head so far: per query its largest score and the sum of the exponentials. */
interface Running {
  readonly max: Float64Array;
  readonly sum: Float64Array;
}

/**
 * Attention over keys and values made from the latents, block by block. Blocks are merged as they come,
 * by the running maximum (online softmax, Milakov and Gimelshein 2018).
 */
export function attendExpanded(
  call: AttentionCall<PlainMatrix>,
  sequence: Sequence,
  pageSize: number,
): void {
  const { config, out } = call;
  const { start, count, row } = sequence;
  const running = Array.from({ length: config.numHeads }, (): Running => {
    const max = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
    return { max, sum: new Float64Array(count) };
  });
  out.data.fill(0, row * out.columns, (row + count) * out.columns);
  for (let begin = 0; begin < start + count; begin += blockTokens) {
    const tokens = Math.min(blockTokens, start + count - begin);
    const block = expand(call, sequence, begin, tokens, pageSize);
    for (const [head, state] of running.entries()) attendBlock(call, sequence, block, head, state);
  }
  for (const [head, { sum }] of running.entries()) {
    for (let i = 0; i < count; i++) {
      const at = (row + i) * out.columns + head * config.vDim;
      for (let j = 0; j < config.vDim; j++) {
        out.data[at + j] = (out.data[at + j] as number) / (sum[i] as number);
      }
    }
  }
}

function expand(
  { cache, keyValue }: AttentionCall<PlainMatrix>,
  { pages }: Sequence,
  begin: number,
  tokens: number,
  pageSize: number,
): Block {
  const latents = matrix(tokens, cache.columns);
  for (let i = 0; i < tokens; i++) {
    const position = begin + i;
    const slot = (pages[Math.floor(position / pageSize)] ?? 0) * pageSize + (position % pageSize);
    const at = slot * cache.columns;
    latents.data.set(cache.data.subarray(at, at + cache.columns), i * cache.columns);
  }
  const expanded = matrix(tokens, keyValue.rows);
  dotRows(
    rowsOf(latents),
    rowsOf(keyValue),
    rowsOf(expanded),
    tokens,
    keyValue.rows,
    keyValue.columns,
  );
  return { keyValue: expanded, latents, begin };
}

function attendBlock(
  { queries, config, out }: AttentionCall<PlainMatrix>,
  { start, count, row }: Sequence,
  block: Block,
  head: number,
  running: Running,
): void {
  const { nopeDim, ropeDim, vDim, softmaxScale } = config;
  const tokens = block.latents.rows;
  // Queries before the block see nothing of it.
  const first = Math.max(0, block.begin - start);
  const seeing = count - first;
  const keys = keysOf(block, head, config);
  const scores = matrix(seeing, tokens);
  const from = rowsOf(queries, row + first, head * (nopeDim + ropeDim));
  dotRows(from, rowsOf(keys), rowsOf(scores), seeing, tokens, keys.columns);
  const values = rowsOf(block.keyValue, 0, head * (nopeDim + vDim) + nopeDim);
  for (let i = 0; i < seeing; i++) {
    const visible = Math.min(tokens, start + first + i + 1 - block.begin);
    const own = scores.data.subarray(i * tokens, i * tokens + visible);
    const rescale = exponentials(own, softmaxScale, running, first + i);
    const at = (row + first + i) * out.columns + head * vDim;
    if (rescale !== 1) {
      for (let j = 0; j < vDim; j++) out.data[at + j] = (out.data[at + j] as number) * rescale;
    }
    const target = { data: out.data, offset: at, stride: out.columns };
    mixRows(rowsOf(scores, i), values, target, 1, vDim, visible);
  }
}

/** A head's keys: its own part, then the rotated one that all heads share. */
function keysOf(
  { keyValue, latents }: Block,
  head: number,
  { nopeDim, ropeDim, vDim, kvLoraRank }: AttentionConfig,
): PlainMatrix {
  const keys = matrix(latents.rows, nopeDim + ropeDim);
  for (let i = 0; i < latents.rows; i++) {
    const own = i * keyValue.columns + head * (nopeDim + vDim);
    keys.data.set(keyValue.data.subarray(own, own + nopeDim), i * keys.columns);
    const shared = i * latents.columns + kvLoraRank;
    const at = i * keys.columns + nopeDim;
    keys.data.set(latents.data.subarray(shared, shared + ropeDim), at);
  }
  return keys;
}

/** Scores to exponentials relative to the new maximum; gives what earlier ones are to be scaled by. */
function exponentials(x: Float32Array, scale: number, { max, sum }: Running, i: number): number {
  const before = max[i] as number;
  let top = before;
  for (const value of x) top = Math.max(top, value * scale);
  const rescale = before === top ? 1 : Math.exp(before - top);
  let total = (sum[i] as number) * rescale;
  for (let j = 0; j < x.length; j++) {
    const value = Math.exp((x[j] as number) * scale - top);
    x[j] = value;
    total += value;
  }
  max[i] = top;
  sum[i] = total;
  return rescale;
}
