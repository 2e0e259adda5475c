import type { AttentionCall, AttentionConfig } from '@flash-mla/models';
import { flashMlaSparseFwd, flashMlaWithKvCache, getMlaMetadata } from '../ops/attention/index.ts';
import { batchedLinear } from '../ops/gemm/index.ts';
import { indexTopK } from '../ops/indexer/index.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import { isPacked, pagedCache } from './cache-rows.ts';
import type { DeviceMatrix } from './device-operations.ts';
import type { DeviceHotCache } from './hot-cache.ts';
import { type Run, runsOf } from './runs.ts';
import type { StepTensors } from './step-tensors.ts';

/** New tokens of a sequence at most that are decoded: more are a prefill. */
const mostDecoded = 4;

/** Indices of a row that attends to all tokens at least: a power of two, so that kernels stay few. */
const fewestIndices = 64;

/** Queries, and the rows of a cache that they attend to. */
interface RowsCall {
  readonly kCache: Tensor<'bf16' | 'u8'>;
  readonly config: AttentionConfig;
  readonly run: Run;
  readonly queries: Tensor<'bf16'>;
  readonly indices: Tensor<'i32'>;
  /** i32 (sequences): leading indices that any of its rows has. Default: all. */
  readonly topkLength?: Tensor<'i32'>;
}

/** Attention over the latents: one key and value for all heads, as decoding kernels of MLA compute it. */
export class AbsorbedAttention {
  /** With HiSparse. */
  hot: DeviceHotCache | undefined;
  readonly #step: StepTensors;
  readonly #pageSize: number;

  constructor(step: StepTensors, pageSize: number) {
    this.#step = step;
    this.#pageSize = pageSize;
  }

  run(call: AttentionCall<DeviceMatrix>): void {
    for (const run of runsOf(call.sequences)) this.#attend(call, run);
  }

  #attend(call: AttentionCall<DeviceMatrix>, run: Run): void {
    const { keyValue, config, out } = call;
    const { numHeads, kvLoraRank, nopeDim, vDim } = config;
    const { row, count, sequences } = run;
    const rows = count * sequences.length;
    const heads = keyValue.reshape([numHeads, nopeDim + vDim, kvLoraRank]);
    const queries = this.#absorb(call, heads, row, rows);
    const attended = call.chosen
      ? this.#attendChosen(call, run, queries, call.chosen as Tensor as Tensor<'i32'>)
      : this.#attendAll(call, run, queries);
    const latents = attended.reshape([rows, numHeads, kvLoraRank]);
    batchedLinear({
      x: latents,
      weight: heads.slice(1, nopeDim, nopeDim + vDim),
      dtype: out.dtype,
      out: out.slice(0, row, row + rows).reshape([rows, numHeads, vDim]),
    });
  }

  #attendAll(
    { cache, config }: AttentionCall<DeviceMatrix>,
    run: Run,
    queries: Tensor<'bf16'>,
  ): Tensor<'bf16'> {
    const { numHeads, kvLoraRank: headDimV, ropeDim, softmaxScale } = config;
    const kCache = pagedCache(cache, this.#pageSize);
    const { blockTable, cacheSeqlens, schedMeta } = this.#scheduling(run);
    if (isPacked(kCache)) {
      const rows = { indices: this.#allTokens(run), topkLength: cacheSeqlens };
      return this.#attendRows({ kCache, config, run, queries, ...rows });
    }
    const { out, lse } = flashMlaWithKvCache({
      q: queries.reshape([run.sequences.length, run.count, numHeads, headDimV + ropeDim]),
      kCache: kCache as Tensor<'bf16'>,
      ...{ blockTable, cacheSeqlens, headDimV, schedMeta, softmaxScale, causal: true },
    });
    this.#step.keep(lse);
    return this.#step.keep(out);
  }

  /** Few queries share what they attend to among many CTAs; many have one each. */
  #attendChosen(
    { cache, config }: AttentionCall<DeviceMatrix>,
    run: Run,
    queries: Tensor<'bf16'>,
    chosen: Tensor<'i32'>,
  ): Tensor<'bf16'> {
    const { row, count, sequences } = run;
    const { 1: columns = 0, 0: tokens = 0 } = cache.shape;
    const { 1: topK = 0 } = chosen.shape;
    const b = sequences.length;
    const given = chosen.slice(0, row, row + b * count);
    const isHot = sequences[0]?.hotRow !== undefined;
    const indices = isHot && this.hot ? this.hot.locate(cache, given, run) : given;
    const kCache = pagedCache(cache, this.#pageSize);
    if (count <= mostDecoded || isPacked(kCache))
      return this.#attendRows({ kCache, config, run, queries, indices });
    const { out, maxLogits, lse } = flashMlaSparseFwd({
      q: queries,
      kv: cache.reshape([tokens, 1, columns]) as Tensor<'bf16'>,
      indices: indices.reshape([b * count, 1, topK]),
      ...{ smScale: config.softmaxScale, dV: config.kvLoraRank },
    });
    this.#step.keep(maxLogits);
    this.#step.keep(lse);
    return this.#step.keep(out);
  }

  /** Attends to rows of the cache: i32 (rows of the run, K). */
  #attendRows({ kCache, config, run, queries, indices, topkLength }: RowsCall): Tensor<'bf16'> {
    const { row, count, sequences } = run;
    const { numHeads, kvLoraRank: headDimV, ropeDim, softmaxScale } = config;
    const { 1: most = 0 } = indices.shape;
    const schedMeta = this.#step.share(`sparse schedule ${row} ${most}`, () => {
      const [made] = getMlaMetadata();
      this.#step.keep({ [Symbol.dispose]: () => made.dispose() });
      return made;
    });
    const b = sequences.length;
    const { out, lse } = flashMlaWithKvCache({
      q: queries.reshape([b, count, numHeads, headDimV + ropeDim]),
      kCache: kCache as Tensor<'bf16'>,
      indices: indices.reshape([b, count, most]),
      ...{ headDimV, schedMeta, softmaxScale, topkLength },
    });
    this.#step.keep(lse);
    return this.#step.keep(out);
  }

  /**
   * Where all tokens of each row are, i32 (rows of the run, K), −1 behind the last: of logits that are all
   * alike, the first ones are the largest. The same for all layers of a step.
   */
  #allTokens(run: Run): Tensor<'i32'> {
    return this.#step.share(`all tokens ${run.row}`, () => {
      const { count, sequences } = run;
      const { blockTable } = this.#scheduling(run);
      const rows = sequences.length * count;
      const longest = Math.max(...sequences.map(({ start }) => start + count));
      const k = Math.max(fewestIndices, 2 ** Math.ceil(Math.log2(longest)));
      const ends = Int32Array.from({ length: rows }, (_, i) => {
        const { start = 0 } = sequences[Math.floor(i / count)] ?? {};
        return start + (i % count) + 1;
      });
      const logits = this.#step.device.empty([rows, k], 'f32');
      logits.fill(0);
      const out = this.#step.empty([rows, k], 'i32');
      const paged = { blockTable, pageSize: this.#pageSize };
      indexTopK({ logits, k, ends: this.#step.integers(ends), ...paged, out });
      // What is enqueued afterwards may use its memory again.
      logits.dispose();
      return out;
    });
  }

  /** Queries in the space of the cache's rows: what is not rotated is absorbed. */
  #absorb(
    { queries, rotated, config }: AttentionCall<DeviceMatrix>,
    heads: DeviceMatrix,
    row: number,
    rows: number,
  ): Tensor<'bf16'> {
    const { numHeads, kvLoraRank, nopeDim, ropeDim } = config;
    const headDim = nopeDim + ropeDim;
    const { 0: stride = 0 } = queries.strides;
    const own = queries
      .slice(0, row, row + rows)
      .asStrided([rows, numHeads, headDim], [stride, headDim, 1]);
    const latent = rotated.slice(0, row, row + rows) as Tensor<'bf16'>;
    batchedLinear({
      x: own.slice(2, 0, nopeDim),
      weight: heads.slice(1, 0, nopeDim),
      transposed: true,
      dtype: 'bf16',
      out: latent.slice(2, 0, kvLoraRank),
    });
    return latent;
  }

  /** The same for all layers of a step. */
  #scheduling({ row, count, sequences }: Run) {
    return this.#step.share(`schedule ${row}`, () => {
      const [schedMeta] = getMlaMetadata();
      this.#step.keep({ [Symbol.dispose]: () => schedMeta.dispose() });
      const { inputs } = this.#step;
      if (inputs !== undefined) {
        const { blockTable, cacheSeqlens } = inputs;
        return { blockTable, cacheSeqlens, schedMeta };
      }
      const lengths = sequences.map(({ start }) => start + count);
      const blocks = Math.ceil(Math.max(...lengths) / this.#pageSize);
      const table = new Int32Array(sequences.length * blocks).fill(-1);
      for (const [i, { pages }] of sequences.entries()) {
        const used = Math.ceil((lengths[i] ?? 0) / this.#pageSize);
        for (let j = 0; j < used; j++) table[i * blocks + j] = pages[j] ?? -1;
      }
      return {
        blockTable: this.#step.integers(table).reshape([sequences.length, blocks]),
        cacheSeqlens: this.#step.integers(Int32Array.from(lengths)),
        schedMeta,
      };
    });
  }
}
