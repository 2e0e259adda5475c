import { indexDim } from '../config/indexer-config.ts';
import type { ModelConfig } from '../config/model-config.ts';

/** Parameters of a model by what they are for. */
export interface Parameters {
  readonly embedding: number;
  /** 0 where the head is the embedding. */
  readonly head: number;
  readonly attention: number;
  readonly denseMlps: number;
  readonly routedExperts: number;
  readonly sharedExperts: number;
  /** Norms and routers. */
  readonly others: number;
  readonly total: number;
  /** Those that a token's computation reads: of the experts the chosen ones, one row of the embedding. */
  readonly active: number;
}

/** Counts parameters by the configuration alone. */
export function parametersOf(config: ModelConfig): Parameters {
  const { hiddenSize, vocabSize, numLayers, moe } = config;
  const numMoe = config.mlpKinds.filter((kind) => kind === 'moe').length;
  const numDense = numLayers - numMoe;
  const embedding = vocabSize * hiddenSize;
  const head = config.tiedHead ? 0 : embedding;
  const { matrices, norms } = attentionOf(config);
  const indexer = indexerOf(config);
  const attention = numLayers * matrices + indexer.matrices;
  const denseMlps = numDense * 3 * hiddenSize * config.intermediateSize;
  const expert = 3 * hiddenSize * (moe?.intermediateSize ?? 0);
  const routedExperts = numMoe * (moe?.numExperts ?? 0) * expert;
  const sharedExperts = numMoe * 3 * hiddenSize * (moe?.sharedIntermediateSize ?? 0);
  const router = (moe?.numExperts ?? 0) * (hiddenSize + (moe?.routing.biased ? 1 : 0));
  const others =
    numLayers * (2 * hiddenSize + norms) + hiddenSize + numMoe * router + indexer.norms;
  const fixed = attention + denseMlps + sharedExperts + others;
  const chosen = numMoe * (moe?.routing.topK ?? 0) * expert;
  return {
    embedding,
    head,
    attention,
    denseMlps,
    routedExperts,
    sharedExperts,
    others,
    total: embedding + head + fixed + routedExperts,
    // A head that is the embedding is read whole.
    active: (config.tiedHead ? 0 : hiddenSize) + embedding + fixed + chosen,
  };
}

function attentionOf({ hiddenSize, attention }: ModelConfig) {
  const { numHeads, qLoraRank, kvLoraRank, nopeDim, ropeDim, vDim, bias } = attention;
  const queries = numHeads * (nopeDim + ropeDim);
  const query = qLoraRank === undefined ? hiddenSize * queries : qLoraRank * (hiddenSize + queries);
  const latent = hiddenSize * (kvLoraRank + ropeDim);
  const up = kvLoraRank * numHeads * (nopeDim + vDim);
  const output = numHeads * vDim * hiddenSize;
  const biases = bias ? (qLoraRank ?? 0) + kvLoraRank + ropeDim + hiddenSize : 0;
  return {
    matrices: query + latent + up + output + biases,
    norms: (qLoraRank ?? 0) + kvLoraRank,
  };
}

/** Of all layers that choose the tokens which they attend to. */
function indexerOf(config: ModelConfig) {
  const { hiddenSize, attention, indexer } = config;
  if (indexer === undefined) return { matrices: 0, norms: 0 };
  const { numHeads } = indexer;
  const layers = indexKeysPerToken(config);
  const query = numHeads * indexDim * (attention.qLoraRank ?? 0);
  return {
    matrices: layers * (query + (indexDim + numHeads) * hiddenSize),
    norms: layers * 2 * indexDim,
  };
}

/** Index keys that the cache holds for one token: one for each layer that chooses what it attends to. */
export function indexKeysPerToken({ indexer }: ModelConfig): number {
  return indexer?.kinds.filter((kind) => kind === 'full').length ?? 0;
}

/** Values that the cache holds for one token, in all layers. */
export function cacheValuesPerToken({ numLayers, attention }: ModelConfig): number {
  return numLayers * (attention.kvLoraRank + attention.ropeDim);
}
