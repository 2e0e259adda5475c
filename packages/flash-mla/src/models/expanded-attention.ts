import type { AttentionCall, Sequence } from '@flash-mla/models';
import { flashAttnVarlenFunc } from '../ops/attention/index.ts';
import { embedding } from '../ops/embedding/index.ts';
import { batchedLinear } from '../ops/gemm/index.ts';
import { applyRope } from '../ops/rope/index.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { DeviceMatrix } from './device-operations.ts';
import type { StepTensors } from './step-tensors.ts';

/** Tokens whose keys and values exist at the same time: 20 KB each for the models with the widest heads. */
const mostTokens = 2 ** 16;
/** Of a head, in the kernels of dense attention. */
const mostHeadDim = 256;
const headDimStep = 8;

/** Sequences whose rows follow each other: one call of the kernel. */
interface Group {
  readonly row: number;
  readonly rows: number;
  readonly sequences: readonly Sequence[];
}

/**
 * Attention over keys and values of every head, made from the latents in the cache: for prompts, where it
 * takes a third of the products of the absorbed form.
 */
export class ExpandedAttention {
  readonly #step: StepTensors;
  readonly #pageSize: number;

  constructor(step: StepTensors, pageSize: number) {
    this.#step = step;
    this.#pageSize = pageSize;
  }

  /**
   * Whether the kernels have these heads, and the keys of all sequences room. Lengths in a recorded step are
   * not known.
   */
  takes({ config, sequences }: AttentionCall<DeviceMatrix>): boolean {
    if (this.#step.inputs !== undefined) return false;
    const { nopeDim, ropeDim, vDim } = config;
    const fits = (dim: number) => dim <= mostHeadDim && dim % headDimStep === 0;
    return fits(nopeDim + ropeDim) && fits(vDim) && tokensOf(sequences) <= mostTokens;
  }

  run(call: AttentionCall<DeviceMatrix>): void {
    for (const group of groupsOf(call.sequences)) this.#attend(call, group);
  }

  #attend(call: AttentionCall<DeviceMatrix>, { row, rows, sequences }: Group): void {
    const { config, out } = call;
    const { numHeads, vDim, softmaxScale } = config;
    const { slots, cuSeqlensQo, cuSeqlensKv } = this.#places(row, sequences);
    const q = this.#queries(call, row, rows);
    const { keys, values } = this.#expand(call, slots);
    const { lse } = flashAttnVarlenFunc({
      ...{ q, k: keys, v: values, cuSeqlensQo, cuSeqlensKv, softmaxScale, causal: true },
      maxSeqlenQo: Math.max(...sequences.map(({ count }) => count)),
      maxSeqlenKv: Math.max(...sequences.map(({ start, count }) => start + count)),
      out: out.slice(0, row, row + rows).reshape([rows, numHeads, vDim]) as Tensor<'bf16'>,
    });
    this.#step.keep(lse);
  }

  /** (rows, heads, nope + rope): the queries, with what was rotated put back into them. */
  #queries(
    { queries, rotated, config }: AttentionCall<DeviceMatrix>,
    row: number,
    rows: number,
  ): Tensor<'bf16'> {
    const { numHeads, kvLoraRank, nopeDim, ropeDim } = config;
    const headDim = nopeDim + ropeDim;
    const { 0: stride = 0 } = queries.strides;
    const q = queries
      .slice(0, row, row + rows)
      .asStrided([rows, numHeads, headDim], [stride, headDim, 1]);
    const from = rotated.slice(0, row, row + rows).slice(2, kvLoraRank, kvLoraRank + ropeDim);
    this.#copyHeads(from, q.slice(2, nopeDim, headDim));
    return q as Tensor<'bf16'>;
  }

  /** (tokens, heads, nope + rope) and (tokens, heads, v), of the tokens at these places of the cache. */
  #expand({ cache, keyValue, config }: AttentionCall<DeviceMatrix>, slots: Tensor<'i32'>) {
    const { numHeads, kvLoraRank, nopeDim, ropeDim, vDim } = config;
    const { 1: columns = 0 } = cache.shape;
    const { 0: tokens = 0 } = slots.shape;
    const rows = this.#step.keep(embedding({ table: cache, ids: slots, dtype: 'bf16' }));
    // Every head reads the same latents, and the same rotated key.
    const ofHeads = (offset: number, width: number) =>
      rows.asStrided([tokens, numHeads, width], [columns, 0, 1], offset);
    const latents = ofHeads(0, kvLoraRank);
    const heads = keyValue.reshape([numHeads, nopeDim + vDim, kvLoraRank]);
    const keys = this.#step.empty([tokens, numHeads, nopeDim + ropeDim], 'bf16');
    const values = this.#step.empty([tokens, numHeads, vDim], 'bf16');
    batchedLinear({
      ...{ x: latents, weight: heads.slice(1, 0, nopeDim), out: keys.slice(2, 0, nopeDim) },
    });
    batchedLinear({ x: latents, weight: heads.slice(1, nopeDim, nopeDim + vDim), out: values });
    this.#copyHeads(ofHeads(kvLoraRank, ropeDim), keys.slice(2, nopeDim, nopeDim + ropeDim));
    return { keys, values };
  }

  /** Copies: rows whose position no table has are not rotated. */
  #copyHeads(x: DeviceMatrix, out: DeviceMatrix): void {
    const { 0: rows = 0, 2: dim = 0 } = x.shape;
    const positions = this.#step.share(`no positions ${rows}`, () =>
      this.#step.integers(new Int32Array(rows).fill(-1)),
    );
    const table = this.#step.share(`no angles ${dim}`, () =>
      this.#step.keep(this.#step.device.tensor(new Float32Array(dim / 2), [1, dim / 2], 'f32')),
    );
    applyRope({ x, out, cos: table, sin: table, positions, pairs: 'half' });
  }

  /** The same for all layers of a step. */
  #places(row: number, sequences: readonly Sequence[]) {
    return this.#step.share(`keys ${row}`, () => {
      const slots = new Int32Array(tokensOf(sequences));
      const queryEnds = [0];
      const keyEnds = [0];
      let at = 0;
      for (const { pages, start, count } of sequences) {
        for (let position = 0; position < start + count; position++) {
          const page = pages[Math.floor(position / this.#pageSize)] ?? 0;
          slots[at++] = page * this.#pageSize + (position % this.#pageSize);
        }
        queryEnds.push((queryEnds.at(-1) as number) + count);
        keyEnds.push(at);
      }
      return {
        slots: this.#step.integers(slots),
        cuSeqlensQo: this.#step.integers(Int32Array.from(queryEnds)),
        cuSeqlensKv: this.#step.integers(Int32Array.from(keyEnds)),
      };
    });
  }
}

const tokensOf = (sequences: readonly Sequence[]) =>
  sequences.reduce((sum, { start, count }) => sum + start + count, 0);

function groupsOf(sequences: readonly Sequence[]): Group[] {
  const groups: { row: number; rows: number; sequences: Sequence[] }[] = [];
  for (const sequence of sequences) {
    const { row, count } = sequence;
    const last = groups.at(-1);
    if (last !== undefined && last.row + last.rows === row) {
      last.rows += count;
      last.sequences.push(sequence);
    } else groups.push({ row, rows: count, sequences: [sequence] });
  }
  return groups;
}
