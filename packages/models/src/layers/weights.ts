/** A linear map: (outputs, inputs), as checkpoints store it, and its bias. */
export interface Linear<Matrix> {
  readonly weight: Matrix;
  readonly bias?: Matrix;
}

export interface AttentionWeights<Matrix> {
  /**
   * From the hidden state: first to the queries, (heads × (nope + rope)), or down to the compressed ones;
   * then down to the latent and to the key that is rotated, (latent + rope).
   */
  readonly input: Linear<Matrix>;
  /** The norm of the compressed queries, and up to queries; absent where queries are not compressed. */
  readonly queryUp?: { readonly norm: Matrix; readonly projection: Linear<Matrix> };
  readonly latentNorm: Matrix;
  /** From the latent up to keys and values: (heads × (nope + v), latent). */
  readonly keyValue: Matrix;
  readonly output: Linear<Matrix>;
  /** Of layers that choose the tokens which their queries attend to. */
  readonly indexer?: IndexerWeights<Matrix>;
}

/** The indexer of DeepSeek V3.2. */
export interface IndexerWeights<Matrix> {
  /** From the compressed queries to those of the indexer: (index heads × 128, compressed). */
  readonly query: Matrix;
  /** From the hidden state to an index key: (128, hidden). */
  readonly key: Matrix;
  /** LayerNorm of the key. */
  readonly keyNorm: Matrix;
  readonly keyBias: Matrix;
  /** From the hidden state to what each index head counts: (index heads, hidden). */
  readonly headWeights: Matrix;
}

/** SwiGLU: `gateUp` holds the gate's rows, then those of the other factor. */
export interface MlpWeights<Matrix> {
  readonly gateUp: Matrix;
  readonly down: Matrix;
}

export interface MoeWeights<Matrix> {
  /** (experts, hidden) */
  readonly router: Matrix;
  /** (1, experts): takes part in the choice of experts. */
  readonly routerBias: Matrix | undefined;
  /**
   * All experts, one after the other: (experts × 2 · width, hidden) and (experts × hidden, width). Those
   * behind the ones that the router chooses from are shared: every token passes them, with weight 1.
   */
  readonly experts: MlpWeights<Matrix>;
  readonly numShared: number;
}

export interface LayerWeights<Matrix> {
  readonly attentionNorm: Matrix;
  readonly attention: AttentionWeights<Matrix>;
  readonly mlpNorm: Matrix;
  readonly mlp: MlpWeights<Matrix> | MoeWeights<Matrix>;
}

/** Everything that a checkpoint holds for a model, in the form of the device that computes it. */
export interface ModelWeights<Matrix> {
  readonly embedding: Matrix;
  readonly layers: readonly LayerWeights<Matrix>[];
  readonly norm: Matrix;
  /** The embedding itself where the two are tied. */
  readonly head: Matrix;
}
