import type { ModelRunner } from '@flash-mla/engine';
import type {
  AttentionConfig,
  IndexerConfig,
  ModelConfig,
  RoutingConfig,
} from '../config/model-config.ts';
import type { LayerCache } from './attention.ts';
import type { Sequence } from './batch.ts';
import type { Decoder } from './decoder.ts';
import type { HotCache, HotCacheShape } from './hot-cache.ts';
import type { Rotation } from './rotary.ts';
import type { Linear, MlpWeights, MoeWeights } from './weights.ts';

/** How attention is computed: over the latents as they are, or over keys and values made from them. */
export type AttentionForm = 'absorbed' | 'expanded';

/** The last norm and the output head: scale · (x / √(mean(x²) + eps) · norm) · weightᵀ. */
export interface Head<Matrix> {
  readonly norm: Matrix;
  readonly eps: number;
  readonly weight: Matrix;
  readonly scale: number;
}

/** New rows of a layer's cache, and the queries that belong to them. */
export interface LatentWrite<Matrix> {
  readonly cache: Matrix;
  /** (rows, latent + rope), of all rows of the batch; may be {@link Operations.columns}. */
  readonly latents: Matrix;
  /** The gain of the latents' norm. */
  readonly norm: Matrix;
  /** (rows, heads × (nope + rope)), not rotated yet; may be {@link Operations.columns}. They may change. */
  readonly queries: Matrix;
  readonly rotation: Rotation;
  readonly sequences: readonly Sequence[];
  readonly config: AttentionConfig;
}

/** A step's queries and what they attend to. */
export interface AttentionCall<Matrix> {
  /** As in {@link LatentWrite}; only the rows of `sequences` are read. */
  readonly queries: Matrix;
  /** The rotated queries, in a form that only the device knows. */
  readonly rotated: Matrix;
  /** (heads × (nope + v), latent) */
  readonly keyValue: Matrix;
  /** The layer's cache. The new tokens are in it already. */
  readonly cache: Matrix;
  readonly sequences: readonly Sequence[];
  readonly config: AttentionConfig;
  /**
   * What {@link Operations.chooseTokens} chose for these sequences: queries attend to nothing else.
   * Absorbed form only.
   */
  readonly chosen?: Matrix;
  /** (rows, heads × v): the rows of `sequences` are written. */
  readonly out: Matrix;
}

/** Keys of the indexer for the new tokens of a step. */
export interface IndexKeysCall<Matrix> {
  /** (rows, 128), of all rows of the batch: neither normed nor rotated yet. */
  readonly keys: Matrix;
  readonly norm: Matrix;
  readonly bias: Matrix;
  /** The angles of the main attention, with the pairs of the indexer. */
  readonly rotation: Rotation;
  /** The layer's cache of index keys. */
  readonly cache: Matrix;
  readonly sequences: readonly Sequence[];
}

/** What the indexer chooses by. */
export interface IndexQueriesCall<Matrix> {
  /** (rows, index heads × 128), of all rows of the batch; not rotated yet. They may change. */
  readonly queries: Matrix;
  /** (rows, index heads): what each head counts. */
  readonly weights: Matrix;
  readonly rotation: Rotation;
  /** The layer's cache of index keys. Those of the new tokens are in it already. */
  readonly cache: Matrix;
  /** Those whose tokens are chosen. */
  readonly sequences: readonly Sequence[];
  readonly config: IndexerConfig;
}

/**
 * What the layers need of a device: calls on matrices that only the device looks into. Rows are tokens.
 * Calls may be asynchronous, in order; {@link Operations.read} waits.
 *
 * A device that takes the place of the plain implementation must give what that one gives, within its
 * precision. Norms, softmax, routing and sums are float32 or better everywhere.
 */
export interface Operations<Matrix> {
  /** Tokens of a page of the cache. */
  readonly pageSize: number;

  /** Throws ModelOptionError for a model that these operations cannot compute, before weights are loaded. */
  readonly checkModel?: (config: ModelConfig) => void;

  /** A matrix for results; what it holds is undefined. */
  empty(rows: number, columns: number): Matrix;

  /** A layer's cache: rows of a normed latent and a rotated key, in pages. */
  createCache(pages: number, columns: number): Matrix;

  /** Rows of the table, times `scale`. Ids are within the table. */
  embed(table: Matrix, ids: Int32Array, scale: number): Matrix;

  /** x · weightᵀ + bias */
  linear(x: Matrix, map: Linear<Matrix>): Matrix;

  /** scale · x · weightᵀ in float32, for routers. */
  logits(x: Matrix, weight: Matrix, scale: number): Matrix;

  /** The logits of hidden states: normed and multiplied in float32, or as near to it as makes no difference. */
  head(hidden: Matrix, head: Head<Matrix>): Matrix;

  /** target += scale · (x · weightᵀ + bias), in place. */
  addLinear(target: Matrix, x: Matrix, map: Linear<Matrix>, scale: number): void;

  /** x / √(mean(x²) + eps) · gain, each row by itself. `x` may be {@link Operations.columns}. */
  rmsNorm(x: Matrix, gain: Matrix, eps: number): Matrix;

  /** Some columns of a matrix: a view, or a copy. */
  columns(x: Matrix, begin: number, end: number): Matrix;

  /** target += scale · down · (silu(gate · x) ⊙ (up · x)), in place. */
  addMlp(target: Matrix, x: Matrix, weights: MlpWeights<Matrix>, scale: number): void;

  /**
   * target += scale · the weighted sum of the experts that {@link RoutingConfig} chooses by the router's
   * logits, and of the shared ones, in place.
   */
  addExperts(
    target: Matrix,
    x: Matrix,
    weights: MoeWeights<Matrix>,
    routing: RoutingConfig,
    scale: number,
  ): void;

  /**
   * Norms the latents, rotates the keys and writes both to the pages of their sequences; rotates the queries.
   * Gives what {@link AttentionCall.rotated} is.
   */
  writeLatents(write: LatentWrite<Matrix>): Matrix;

  /** A layer's cache of index keys, in pages with the numbers of those of {@link createCache}. */
  createIndexCache(pages: number): Matrix;

  /** Norms index keys (LayerNorm, eps 10⁻⁶), rotates their first 64 values and writes them. */
  writeIndexKeys(call: IndexKeysCall<Matrix>): void;

  /**
   * Chooses for each row of some sequences the tokens at or before it with the largest
   * `Σ over heads of weight · max(0, query · key)`, at most {@link IndexerConfig.topK}. What it gives is for
   * {@link attend} alone, for the same sequences in the same step.
   */
  chooseTokens(call: IndexQueriesCall<Matrix>): Matrix;

  /** The forms of attention that there are. Both give the same but for rounding. */
  readonly forms: readonly AttentionForm[];

  /** Attends causally to the sequences. */
  attend(form: AttentionForm, call: AttentionCall<Matrix>): void;

  /** Some rows, in the order given. */
  takeRows(x: Matrix, rows: Int32Array): Matrix;

  /** The values, row by row. Waits for what computes them. */
  read(x: Matrix): Promise<Float32Array>;

  /**
   * Gives other work of the program a turn where the operations compute on its thread. The layers await it
   * between each other.
   */
  pause(): Promise<void> | undefined;

  /** Everything that `run` makes is released when it ends, but for what it returns as plain data. */
  scope<Result>(run: () => Promise<Result>): Promise<Result>;

  /** Makes the calls of a layer, within a scope; what they make is released when it returns. */
  layer(run: () => void): void;

  /** Releases a matrix that was made outside of a scope, such as weights. */
  release(x: Matrix): void;

  /**
   * Keeps K/V in memory of the host, with hot buffers in the pages of `cache`. From then on the steps of this
   * model have sequences with {@link Sequence.indexPages} and {@link Sequence.hotRow}. Without it there is no
   * HiSparse on the device.
   */
  readonly createHotCache?: (
    cache: readonly LayerCache<Matrix>[],
    shape: HotCacheShape,
  ) => HotCache;

  /**
   * A runner of the device's own, which may take a step while another one is computed. Without it, or where it
   * has none for the model, a DecoderRunner runs one step after the other, and draws tokens on the host.
   */
  readonly createRunner?:
    | ((
        decoder: Decoder<Matrix>,
        cache: readonly LayerCache<Matrix>[],
        hot?: HotCache,
      ) => (ModelRunner & Disposable) | undefined)
    | undefined;
}

/** Where a part of a matrix of weights comes from. */
export interface WeightPart {
  readonly rows: number;
  readonly columns: number;
  /** Rows `begin` to `end`, exclusive, in float32. */
  readRows(begin: number, end: number): Promise<Float32Array>;
  /** Of a matrix that is stored in bf16: the codes of these rows, as they are. */
  readBf16?(begin: number, end: number): Promise<Uint16Array>;
  /** Of a matrix that is stored in e4m3: what it is stored as. */
  readonly quantized?: QuantizedPart;
}

/** e4m3 codes, and what each block of them is multiplied by. */
export interface QuantizedPart {
  readonly blockRows: number;
  readonly blockColumns: number;
  /** Codes of the rows `begin` to `end`, exclusive. */
  readCodes(begin: number, end: number): Promise<Uint8Array>;
  /** (⌈rows / blockRows⌉, ⌈columns / blockColumns⌉), all finite. */
  readScales(): Promise<Float32Array>;
}

/**
 * `latent`: keys and values from the latent, which the absorbed form multiplies with from both sides.
 * `experts`: a stack of matrices, of which each is multiplied with other rows.
 */
export type WeightUse = 'latent' | 'experts' | 'other';

/** Makes the matrices of weights of a device. */
export interface WeightStore<Matrix> {
  /** The parts one below the other. All have the same columns. */
  load(parts: readonly WeightPart[], use: WeightUse): Promise<Matrix>;
  release(x: Matrix): void;
}
