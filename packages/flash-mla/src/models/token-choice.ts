import type { IndexKeysCall, IndexQueriesCall, Sequence } from '@flash-mla/models';
import {
  fp8PagedMqaLogits,
  indexTopK,
  prepareIndexQueries,
  storeIndexKeys,
} from '../ops/indexer/index.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { DeviceMatrix } from './device-operations.ts';
import { type Run, runsOf } from './runs.ts';
import type { StepTensors } from './step-tensors.ts';

/** Dimensions of an index query or key, and bytes of a token in the cache of keys. */
const [indexDim, tokenBytes] = [128, 132];

/** Logits that exist at the same time at most: 64 MB. */
const mostLogits = 2 ** 24;

/** The indexer of a model: its keys lie in e4m3, and what it chooses are places in the cache. */
export class TokenChoice {
  readonly #step: StepTensors;
  readonly #pageSize: number;

  constructor(step: StepTensors, pageSize: number) {
    this.#step = step;
    this.#pageSize = pageSize;
  }

  /** Nothing but {@link writeKeys} and {@link choose} sees this matrix. */
  createCache(pages: number): DeviceMatrix {
    const shape = [pages, this.#pageSize, 1, tokenBytes];
    const cache = this.#step.device.empty(shape, 'u8');
    // Kernels read whole tiles of a page that a sequence has begun.
    cache.fill(0);
    return cache as Tensor as DeviceMatrix;
  }

  writeKeys({ keys, norm, bias, rotation, cache, sequences }: IndexKeysCall<DeviceMatrix>): void {
    const { 0: rows = 0 } = keys.shape;
    storeIndexKeys({
      ...{ ...this.#step.rotation(rotation), positions: this.#rows(rows) },
      k: keys as Tensor<'f32'>,
      normWeight: norm.reshape([indexDim]) as Tensor<'f32'>,
      normBias: bias.reshape([indexDim]) as Tensor<'f32'>,
      indexCache: cache as Tensor as Tensor<'u8'>,
      slots: this.#step.indexSlots(sequences, this.#pageSize),
    });
  }

  /**
   * i32 (rows, topK): rows of the layer's cache, −1 where there are fewer; only of the sequences' rows. Of
   * sequences in the tables of hot buffers they are positions. All layers of a step write to the same tensor: a
   * choice holds until the next one.
   */
  choose(call: IndexQueriesCall<DeviceMatrix>): DeviceMatrix {
    const { queries, weights, rotation, config, sequences } = call;
    const { 0: rows = 0 } = queries.shape;
    const { numHeads, topK } = config;
    const prepared = prepareIndexQueries({
      ...{ ...this.#step.rotation(rotation), positions: this.#rows(rows) },
      q: queries.reshape([rows, numHeads, indexDim]) as Tensor<'f32'>,
      weights: weights as Tensor<'f32'>,
    });
    const q = this.#step.keep(prepared.q);
    const headWeights = this.#step.keep(prepared.weights);
    const chosen = this.#step.share('chosen', () => this.#step.empty([rows, topK], 'i32'));
    for (const run of runsOf(sequences)) {
      for (const part of partsOf(run)) {
        this.#choosePart({ part, call, q, weights: headWeights, chosen });
      }
    }
    return chosen as Tensor as DeviceMatrix;
  }

  #choosePart({ part, call, q, weights, chosen }: PartCall): void {
    const { numHeads, topK } = call.config;
    const { row, count, sequences } = part;
    const b = sequences.length;
    const rows = b * count;
    const { blockTable, contextLens, longest, cacheTable } = this.#tables(part);
    const isHot = sequences[0]?.hotRow !== undefined;
    const logits = fp8PagedMqaLogits({
      q: q.slice(0, row, row + rows).reshape([b, count, numHeads, indexDim]),
      weights: weights.slice(0, row, row + rows).reshape([b, count, numHeads]),
      kvCache: call.cache as Tensor as Tensor<'u8'>,
      ...{ blockTable, contextLens, maxContextLen: longest, cleanLogits: false },
    });
    indexTopK({
      ...{ logits, k: topK, ends: contextLens.reshape([rows]) },
      ...(!isHot && { blockTable: cacheTable, pageSize: this.#pageSize }),
      out: chosen.slice(0, row, row + rows),
    });
    // What is enqueued afterwards may use its memory again.
    logits.dispose();
  }

  /** The same for all layers of a step. */
  #tables({ row, count, sequences }: Run) {
    return this.#step.share(`index tables ${row}`, () => {
      const longest = Math.max(...sequences.map(({ start }) => start + count));
      const width = Math.ceil(longest / this.#pageSize);
      const tableOf = (pagesOf: (sequence: Sequence) => ArrayLike<number>) => {
        const table = new Int32Array(sequences.length * width).fill(-1);
        for (const [i, sequence] of sequences.entries()) {
          const used = Math.ceil((sequence.start + count) / this.#pageSize);
          const pages = pagesOf(sequence);
          for (let j = 0; j < used; j++) table[i * width + j] = pages[j] ?? -1;
        }
        return this.#step.integers(table).reshape([sequences.length, width]);
      };
      const lengths = new Int32Array(sequences.length * count);
      for (const [i, { start }] of sequences.entries()) {
        for (let j = 0; j < count; j++) lengths[i * count + j] = start + j + 1;
      }
      const cacheTable = tableOf(({ pages }) => pages);
      const isSame = sequences.every(({ indexPages }) => indexPages === undefined);
      return {
        longest,
        cacheTable,
        blockTable: isSame ? cacheTable : tableOf(({ pages, indexPages = pages }) => indexPages),
        contextLens: this.#step.integers(lengths).reshape([sequences.length, count]),
      };
    });
  }

  /** Row i of the step's tables of angles is that of row i. */
  #rows(rows: number): Tensor<'i32'> {
    return this.#step.share('rows', () =>
      this.#step.integers(Int32Array.from({ length: rows }, (_, i) => i)),
    );
  }
}

interface PartCall {
  readonly part: Run;
  readonly call: IndexQueriesCall<DeviceMatrix>;
  readonly q: Tensor<'e4m3'>;
  readonly weights: Tensor<'f32'>;
  readonly chosen: Tensor<'i32'>;
}

/** Cuts a run where its logits would be too many: first into sequences, then these into fewer tokens. */
function partsOf(run: Run): Run[] {
  const { row, count, sequences } = run;
  const longest = Math.max(...sequences.map(({ start }) => start + count));
  if (sequences.length * count * longest <= mostLogits) return [run];
  const most = Math.max(1, Math.floor(mostLogits / longest));
  return sequences.flatMap((sequence, i) => {
    const first = row + i * count;
    return Array.from({ length: Math.ceil(count / most) }, (_, part): Run => {
      const begin = part * most;
      const some = { start: sequence.start + begin, count: Math.min(most, count - begin) };
      const place = { row: first + begin, count: some.count };
      return { ...place, sequences: [{ ...sequence, ...some, row: place.row }] };
    });
  });
}
