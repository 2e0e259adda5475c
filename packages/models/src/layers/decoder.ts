import type { ModelConfig } from '../config/model-config.ts';
import { type LayerCache, latentAttention, type SparseStep, type Step } from './attention.ts';
import type { Batch } from './batch.ts';
import { addFeedForward } from './feed-forward.ts';
import type { Operations } from './operations.ts';
import { Rotary, type Rotation } from './rotary.ts';
import type { LayerWeights, ModelWeights } from './weights.ts';

/** What a step gives. */
export interface EnqueuedStep<Matrix> {
  readonly hidden: Matrix;
  readonly logits: Matrix | undefined;
}

/** A model on a device: token ids in, logits out, with a paged cache between the steps. */
export class Decoder<Matrix> {
  readonly config: ModelConfig;
  readonly #ops: Operations<Matrix>;
  readonly #weights: ModelWeights<Matrix>;
  readonly #rotary: Rotary;
  /** The longest context that will be asked for. */
  readonly maxPositions: number;

  constructor(
    config: ModelConfig,
    ops: Operations<Matrix>,
    weights: ModelWeights<Matrix>,
    maxPositions = config.maxPositions,
  ) {
    this.config = config;
    this.maxPositions = maxPositions;
    this.#ops = ops;
    this.#weights = weights;
    const { rope, ropeDim } = config.attention;
    this.#rotary = new Rotary(rope, ropeDim, maxPositions);
  }

  /** Values that the cache holds for one token in one layer. */
  get cacheColumns(): number {
    const { kvLoraRank, ropeDim } = this.config.attention;
    return kvLoraRank + ropeDim;
  }

  /**
   * An empty cache of so many pages in each layer.
   *
   * @param indexPages pages of the index keys, where these are other ones.
   */
  createCache(pages: number, indexPages = pages): LayerCache<Matrix>[] {
    const made: Matrix[] = [];
    const keep = (matrix: Matrix) => {
      made.push(matrix);
      return matrix;
    };
    try {
      return this.#weights.layers.map(({ attention }) => ({
        latents: keep(this.#ops.createCache(pages, this.cacheColumns)),
        ...(attention.indexer && { indexKeys: keep(this.#ops.createIndexCache(indexPages)) }),
      }));
    } catch (error) {
      for (const matrix of made) this.#ops.release(matrix);
      throw error;
    }
  }

  /**
   * Computes the batch's tokens, writes the cache, and gives the logits after some of them.
   *
   * @param logitRows rows of the batch.
   * @returns (logitRows, vocabulary), float32.
   */
  forward(
    batch: Batch,
    cache: readonly LayerCache<Matrix>[],
    logitRows: Int32Array,
  ): Promise<{ readonly logits: Float32Array; readonly vocabSize: number }> {
    return this.#ops.scope(async () => {
      const { vocabSize } = this.config;
      const work = this.enqueue(batch, cache, logitRows);
      let next = work.next();
      while (next.done !== true) {
        await this.#ops.pause();
        next = work.next();
      }
      // Without logits too: the cache has to be written before the caller goes on.
      const { hidden, logits } = next.value;
      if (logits !== undefined) return { logits: await this.#ops.read(logits), vocabSize };
      await this.#ops.read(this.#ops.takeRows(hidden, Int32Array.of(0)));
      return { logits: new Float32Array(0), vocabSize };
    });
  }

  /**
   * Makes the calls of a step, within a scope of the operations; yields between layers, where another part
   * of the program may have its turn. It gives the hidden state of all rows, and the logits, (logitRows,
   * vocabulary) in float32, where there are such rows.
   */
  *enqueue(
    batch: Batch,
    cache: readonly LayerCache<Matrix>[],
    logitRows: Int32Array,
  ): Generator<void, EnqueuedStep<Matrix>> {
    const { rmsNormEps, scales } = this.config;
    const rotation = this.rotation(batch.positions);
    const sparse = this.#sparse(batch, rotation);
    const step: Step<Matrix> = { batch, rotation, ...(sparse && { sparse }) };
    const hidden = this.#ops.embed(this.#weights.embedding, batch.tokens, scales.embedding);
    for (const [i, layer] of this.#weights.layers.entries()) {
      this.#ops.layer(() => this.#layer(hidden, layer, cache[i] as LayerCache<Matrix>, step));
      yield;
    }
    if (logitRows.length === 0) return { hidden, logits: undefined };
    const last = this.#ops.takeRows(hidden, logitRows);
    const { norm, head: weight } = this.#weights;
    const head = { norm, eps: rmsNormEps, weight, scale: scales.head };
    return { hidden, logits: this.#ops.head(last, head) };
  }

  /** The angles of rows at these positions. */
  rotation(positions: Int32Array): Rotation {
    return this.#rotary.at(positions);
  }

  #sparse({ sequences }: Batch, rotation: Rotation): SparseStep<Matrix> | undefined {
    const { indexer: config } = this.config;
    if (config === undefined) return undefined;
    const long = sequences.filter(({ start, count }) => start + count > config.topK);
    return { config, rotation: { ...rotation, pairing: config.pairing }, long };
  }

  /** Adds what a layer computes to the hidden state. */
  #layer(
    hidden: Matrix,
    layer: LayerWeights<Matrix>,
    cache: LayerCache<Matrix>,
    step: Step<Matrix>,
  ): void {
    const ops = this.#ops;
    const { attention, rmsNormEps, scales } = this.config;
    const first = ops.rmsNorm(hidden, layer.attentionNorm, rmsNormEps);
    const attended = latentAttention(ops, attention, layer.attention, first, cache, step);
    ops.addLinear(hidden, attended, layer.attention.output, scales.residual);
    const second = ops.rmsNorm(hidden, layer.mlpNorm, rmsNormEps);
    addFeedForward(ops, this.config, layer.mlp, hidden, second);
  }
}
