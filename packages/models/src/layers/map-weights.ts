import type { LayerCache } from './attention.ts';
import type {
  AttentionWeights,
  IndexerWeights,
  LayerWeights,
  Linear,
  MlpWeights,
  ModelWeights,
} from './weights.ts';

/** The same weights in another form. A head that is the embedding stays that. */
export function mapWeights<From, To>(
  weights: ModelWeights<From>,
  map: (matrix: From) => To,
): ModelWeights<To> {
  const embedding = map(weights.embedding);
  return {
    embedding,
    layers: weights.layers.map((layer) => mapLayer(layer, map)),
    norm: map(weights.norm),
    head: weights.head === weights.embedding ? embedding : map(weights.head),
  };
}

/** Every matrix once. */
export function matricesOf<Matrix>(weights: ModelWeights<Matrix>): Matrix[] {
  const all: Matrix[] = [];
  mapWeights(weights, (matrix) => all.push(matrix));
  return all;
}

function mapLayer<From, To>(layer: LayerWeights<From>, map: (m: From) => To): LayerWeights<To> {
  const { mlp } = layer;
  return {
    attentionNorm: map(layer.attentionNorm),
    attention: mapAttention(layer.attention, map),
    mlpNorm: map(layer.mlpNorm),
    mlp:
      'router' in mlp
        ? {
            router: map(mlp.router),
            routerBias: mlp.routerBias === undefined ? undefined : map(mlp.routerBias),
            experts: mapMlp(mlp.experts, map),
            numShared: mlp.numShared,
          }
        : mapMlp(mlp, map),
  };
}

function mapAttention<From, To>(
  { input, queryUp, latentNorm, keyValue, output, indexer }: AttentionWeights<From>,
  map: (m: From) => To,
): AttentionWeights<To> {
  const linear = ({ weight, bias }: Linear<From>): Linear<To> =>
    bias === undefined ? { weight: map(weight) } : { weight: map(weight), bias: map(bias) };
  return {
    input: linear(input),
    ...(queryUp && {
      queryUp: { norm: map(queryUp.norm), projection: linear(queryUp.projection) },
    }),
    latentNorm: map(latentNorm),
    keyValue: map(keyValue),
    output: linear(output),
    ...(indexer && { indexer: mapIndexer(indexer, map) }),
  };
}

function mapIndexer<From, To>(
  { query, key, keyNorm, keyBias, headWeights }: IndexerWeights<From>,
  map: (m: From) => To,
): IndexerWeights<To> {
  return {
    ...{ query: map(query), key: map(key), keyNorm: map(keyNorm), keyBias: map(keyBias) },
    headWeights: map(headWeights),
  };
}

function mapMlp<From, To>(mlp: MlpWeights<From>, map: (m: From) => To): MlpWeights<To> {
  return { gateUp: map(mlp.gateUp), down: map(mlp.down) };
}

/** Every matrix of a cache once. */
export function matricesOfCache<Matrix>(cache: readonly LayerCache<Matrix>[]): Matrix[] {
  return cache.flatMap(({ latents, indexKeys }) =>
    indexKeys === undefined ? [latents] : [latents, indexKeys],
  );
}
