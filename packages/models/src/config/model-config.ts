/** How positions are rotated into queries and keys. */
export interface RopeConfig {
  readonly theta: number;
  /** Pairs of neighbours (2i, 2i + 1), or of halves (i, i + dim / 2). */
  readonly pairing: 'interleaved' | 'halves';
  readonly scaling: RopeScaling;
}

export type RopeScaling =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'yarn';
      readonly factor: number;
      readonly originalMaxPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Multiplies cos and sin. */
      readonly amplitude: number;
      /** Multiplies the softmax scale: the square of YaRN's magnitude over all dimensions. */
      readonly softmaxFactor: number;
    }
  | {
      readonly kind: 'longrope';
      readonly originalMaxPositions: number;
      /** Divisors of the frequencies, one for each pair, for contexts up to the original length … */
      readonly shortFactors: readonly number[];
      /** … and for longer ones. */
      readonly longFactors: readonly number[];
      readonly amplitude: number;
    };

/** Multi-head latent attention. Sizes are those of one head unless they say otherwise. */
export interface AttentionConfig {
  readonly numHeads: number;
  /** Rank of the compressed queries of all heads; undefined where queries are not compressed. */
  readonly qLoraRank: number | undefined;
  /** Values of the latent that all heads share: what the cache holds, besides the rotated key. */
  readonly kvLoraRank: number;
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly vDim: number;
  /** Of the norms of the compressed queries and of the latent. */
  readonly latentNormEps: number;
  readonly softmaxScale: number;
  /** Whether q_a_proj, kv_a_proj_with_mqa and o_proj have biases. */
  readonly bias: boolean;
  readonly rope: RopeConfig;
}

/** How a token's experts are chosen and weighted. Everything in float32. */
export interface RoutingConfig {
  readonly scores: 'softmax' | 'sigmoid';
  /** Whether the choice, not the weight, adds `e_score_correction_bias`. */
  readonly biased: boolean;
  readonly topK: number;
  /** Experts are in this many groups, … */
  readonly numGroups: number;
  /** … of which so many take part. */
  readonly topGroups: number;
  /** A group's score: its best expert's, or the sum of its two best. */
  readonly groupScore: 'best' | 'two-best';
  readonly normalize: boolean;
  readonly scale: number;
}

/** A mixture of experts. */
export interface MoeConfig {
  readonly numExperts: number;
  /** Width of one routed expert. */
  readonly intermediateSize: number;
  /** Width of the expert that every token passes; 0: there is none. */
  readonly sharedIntermediateSize: number;
  readonly routing: RoutingConfig;
}

/** FP8 weights with one scale for each block of rows × columns. */
export interface QuantizationConfig {
  readonly blockRows: number;
  readonly blockColumns: number;
}

/** Sparse attention (DeepSeek V3.2): an indexer chooses the tokens that a query attends to. */
export interface IndexerConfig {
  readonly numHeads: number;
  /** Tokens that a query attends to at most: shorter sequences are attended to whole. */
  readonly topK: number;
  /** Which of the first 64 dimensions of its queries and keys are pairs. */
  readonly pairing: RopeConfig['pairing'];
  /** Of each layer: `full` chooses, `shared` takes what the last one before it chose. */
  readonly kinds: readonly ('full' | 'shared')[];
}

/** What a model computes: config.json, checked, in one form for every family. */
export interface ModelConfig {
  /** The family's name. */
  readonly family: string;
  readonly numLayers: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly rmsNormEps: number;
  /** Whether the output head is the embedding matrix. */
  readonly tiedHead: boolean;
  readonly attention: AttentionConfig;
  /** Undefined where queries attend to all tokens before them. */
  readonly indexer: IndexerConfig | undefined;
  /** Of each layer. */
  readonly mlpKinds: readonly ('dense' | 'moe')[];
  /** Width of the dense MLPs. */
  readonly intermediateSize: number;
  /** Undefined where every layer is dense. */
  readonly moe: MoeConfig | undefined;
  /** Layers behind the last one that predict further tokens. They are not loaded. */
  readonly numNextTokenLayers: number;
  /** Factors of the embeddings, of what a layer adds to the residual, and of the last hidden state. */
  readonly scales: { readonly embedding: number; readonly residual: number; readonly head: number };
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly quantization: QuantizationConfig | undefined;
}
