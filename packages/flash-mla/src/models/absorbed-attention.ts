import type { AttentionCall } from '@flash-mla/models';
import { flashMlaSparseFwd, flashMlaWithKvCache, getMlaMetadata } from '../ops/attention/index.ts';
import { batchedLinear } from '../ops/gemm/index.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { DeviceMatrix } from './device-operations.ts';
import type { DeviceHotCache } from './hot-cache.ts';
import { type Run, runsOf } from './runs.ts';
import type { StepTensors } from './step-tensors.ts';

/** New tokens of a sequence at most that are decoded: more are a prefill. */
const mostDecoded = 4;

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
    const { numHeads, kvLoraRank: headDimV, softmaxScale } = config;
    const { 1: columns = 0 } = cache.shape;
    const { blockTable, cacheSeqlens, schedMeta } = this.#scheduling(run);
    const { out, lse } = flashMlaWithKvCache({
      q: queries.reshape([run.sequences.length, run.count, numHeads, columns]),
      kCache: this.#paged(cache),
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
    const { numHeads, kvLoraRank: headDimV, softmaxScale } = config;
    const { 1: columns = 0, 0: tokens = 0 } = cache.shape;
    const { 1: topK = 0 } = chosen.shape;
    const b = sequences.length;
    const given = chosen.slice(0, row, row + b * count);
    const isHot = sequences[0]?.hotRow !== undefined;
    const own = isHot && this.hot ? this.hot.locate(cache, given, run) : given;
    if (count <= mostDecoded) {
      const schedMeta = this.#step.share(`sparse schedule ${row}`, () => {
        const [made] = getMlaMetadata();
        this.#step.keep({ [Symbol.dispose]: () => made.dispose() });
        return made;
      });
      const { out, lse } = flashMlaWithKvCache({
        q: queries.reshape([b, count, numHeads, columns]),
        kCache: this.#paged(cache),
        indices: own.reshape([b, count, topK]),
        ...{ headDimV, schedMeta, softmaxScale },
      });
      this.#step.keep(lse);
      return this.#step.keep(out);
    }
    const { out, maxLogits, lse } = flashMlaSparseFwd({
      q: queries,
      kv: cache.reshape([tokens, 1, columns]) as Tensor<'bf16'>,
      indices: own.reshape([b * count, 1, topK]),
      ...{ smScale: softmaxScale, dV: headDimV },
    });
    this.#step.keep(maxLogits);
    this.#step.keep(lse);
    return this.#step.keep(out);
  }

  #paged(cache: DeviceMatrix): Tensor<'bf16'> {
    const { 1: columns = 0, 0: tokens = 0 } = cache.shape;
    const shape = [tokens / this.#pageSize, this.#pageSize, 1, columns];
    return cache.reshape(shape) as Tensor<'bf16'>;
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
