/** A linear map: (outputs, inputs), as checkpoints store it, and its bias. */
export interface Linear<Matrix> {
  readonly weight: Matrix;
  readonly bias?: Matrix;
}

export interface AttentionWeights<Matrix> {
  /** Down to the compressed queries, and their norm; absent where queries are not compressed. */
  readonly queryDown?: { readonly projection: Linear<Matrix>; readonly norm: Matrix };
  /** To (heads × (nope + rope)). */
  readonly query: Linear<Matrix>;
  /** Down to the latent and the key that is rotated: (latent + rope, hidden). */
  readonly latent: Linear<Matrix>;
  readonly latentNorm: Matrix;
  /** From the latent up to keys and values: (heads × (nope + v), latent). */
  readonly keyValue: Matrix;
  readonly output: Linear<Matrix>;
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
  /** All experts, one after the other: (experts × 2 · width, hidden) and (experts × hidden, width). */
  readonly experts: MlpWeights<Matrix>;
  readonly shared: MlpWeights<Matrix> | undefined;
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
