import type { AttentionCall, Sequence } from '@flash-mla/models';
import { flashMlaWithKvCache, getMlaMetadata } from '../ops/attention/index.ts';
import { batchedLinear } from '../ops/gemm/index.ts';
import { applyRope } from '../ops/rope/index.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { DeviceMatrix } from './device-operations.ts';
import type { StepTensors } from './step-tensors.ts';

/** Neighbouring sequences with equally many new tokens: one call of the kernel. */
interface Run {
  readonly row: number;
  readonly count: number;
  readonly sequences: readonly Sequence[];
}

/** Attention over the latents: one key and value for all heads, as decoding kernels of MLA compute it. */
export class AbsorbedAttention {
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
    const { keyValue, cache, config, out } = call;
    const { numHeads, kvLoraRank, nopeDim, vDim, softmaxScale } = config;
    const { row, count, sequences } = run;
    const rows = count * sequences.length;
    const { 1: columns = 0, 0: tokens = 0 } = cache.shape;
    const heads = keyValue.reshape([numHeads, nopeDim + vDim, kvLoraRank]);
    const queries = this.#latentQueries(call, heads, row, rows, columns);
    const { blockTable, cacheSeqlens, schedMeta } = this.#scheduling(run);
    const attended = flashMlaWithKvCache({
      q: queries.reshape([sequences.length, count, numHeads, columns]),
      kCache: cache.reshape([
        tokens / this.#pageSize,
        this.#pageSize,
        1,
        columns,
      ]) as Tensor<'bf16'>,
      blockTable,
      cacheSeqlens,
      headDimV: kvLoraRank,
      schedMeta,
      softmaxScale,
      causal: true,
    });
    this.#step.keep(attended.lse);
    const latents = this.#step.keep(attended.out).reshape([rows, numHeads, kvLoraRank]);
    batchedLinear({
      x: latents,
      weight: heads.slice(1, nopeDim, nopeDim + vDim),
      dtype: out.dtype,
      out: out.slice(0, row, row + rows).reshape([rows, numHeads, vDim]),
    });
  }

  /** Queries in the space of the cache's rows: absorbed, then rotated. */
  #latentQueries(
    { queries, rotation, config }: AttentionCall<DeviceMatrix>,
    heads: DeviceMatrix,
    row: number,
    rows: number,
    columns: number,
  ): Tensor<'bf16'> {
    const { numHeads, kvLoraRank, nopeDim, ropeDim } = config;
    const headDim = nopeDim + ropeDim;
    const { 0: stride = 0 } = queries.strides;
    const own = queries
      .slice(0, row, row + rows)
      .asStrided([rows, numHeads, headDim], [stride, headDim, 1]);
    const latent = this.#step.empty([rows, numHeads, columns], 'bf16');
    batchedLinear({
      x: own.slice(2, 0, nopeDim),
      weight: heads.slice(1, 0, nopeDim),
      transposed: true,
      dtype: 'bf16',
      out: latent.slice(2, 0, kvLoraRank),
    });
    const { cos, sin, pairs } = this.#step.rotation(rotation);
    applyRope({
      x: own.slice(2, nopeDim, nopeDim + ropeDim),
      out: latent.slice(2, kvLoraRank, columns),
      cos: cos.slice(0, row, row + rows),
      sin: sin.slice(0, row, row + rows),
      pairs,
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

function runsOf(sequences: readonly Sequence[]): Run[] {
  const runs: { row: number; count: number; sequences: Sequence[] }[] = [];
  for (const sequence of sequences) {
    const { row, count } = sequence;
    const last = runs.at(-1);
    const end = last === undefined ? -1 : last.row + last.count * last.sequences.length;
    if (last?.count === count && end === row) last.sequences.push(sequence);
    else runs.push({ row, count, sequences: [sequence] });
  }
  return runs;
}
