import { indexDim } from '../config/indexer-config.ts';
import type { ModelConfig } from '../config/model-config.ts';
import type { WeightPart } from '../layers/operations.ts';
import type {
  AttentionWeights,
  IndexerWeights,
  LayerWeights,
  MlpWeights,
  ModelWeights,
  MoeWeights,
} from '../layers/weights.ts';
import { columnsOf, rowsOf, sideBySide, zeros } from './part-views.ts';
import type { TensorParts } from './tensor-parts.ts';

/** A matrix of weights: parts of the checkpoint, one below the other. */
export type Parts = readonly WeightPart[];

/** What a plan asks of a checkpoint. */
export type TensorSource = Pick<
  TensorParts,
  'has' | 'vector' | 'plainMatrix' | 'matrix' | 'slice' | 'finish'
>;

/**
 * Which tensor of the checkpoint becomes which weight. Throws CheckpointError, once all tensors have been
 * looked at, for those that are missing, of another shape, or not accounted for.
 */
export function planWeights(config: ModelConfig, tensors: TensorSource): ModelWeights<Parts> {
  const { hiddenSize, vocabSize, numLayers } = config;
  const embedding = [tensors.plainMatrix('model.embed_tokens.weight', vocabSize, hiddenSize)];
  const layers = Array.from({ length: numLayers }, (_, i) => layer(config, tensors, i));
  const norm = [tensors.vector('model.norm.weight', hiddenSize)];
  const head = config.tiedHead
    ? embedding
    : [tensors.matrix('lm_head.weight', vocabSize, hiddenSize)];
  tensors.finish((name) => isIgnored(config, name));
  return { embedding, layers, norm, head };
}

/** What checkpoints hold beside the weights of a model. */
function isIgnored(config: ModelConfig, name: string): boolean {
  if (name.endsWith('.rotary_emb.inv_freq')) return true;
  if (name === 'lm_head.weight') return config.tiedHead;
  const layer = /^model\.layers\.(\d+)\./.exec(name);
  if (layer === null) return false;
  const index = Number(layer[1]);
  return index >= config.numLayers && index < config.numLayers + config.numNextTokenLayers;
}

function layer(config: ModelConfig, tensors: TensorSource, index: number): LayerWeights<Parts> {
  const prefix = `model.layers.${index}.`;
  const { hiddenSize, intermediateSize } = config;
  return {
    attentionNorm: [tensors.vector(`${prefix}input_layernorm.weight`, hiddenSize)],
    attention: attention(config, tensors, `${prefix}self_attn.`, index),
    mlpNorm: [tensors.vector(`${prefix}post_attention_layernorm.weight`, hiddenSize)],
    mlp:
      config.mlpKinds[index] === 'moe'
        ? moe(config, tensors, `${prefix}mlp.`)
        : mlp(tensors, `${prefix}mlp.`, hiddenSize, intermediateSize),
  };
}

function attention(
  model: ModelConfig,
  tensors: TensorSource,
  prefix: string,
  layer: number,
): AttentionWeights<Parts> {
  const { hiddenSize, attention: config } = model;
  const { numHeads, qLoraRank, kvLoraRank, nopeDim, ropeDim, vDim } = config;
  const weight = (name: string, rows: number, columns: number) =>
    tensors.matrix(`${prefix}${name}.weight`, rows, columns);
  const vector = (name: string, length: number) => tensors.vector(`${prefix}${name}`, length);
  const queryRows = numHeads * (nopeDim + ropeDim);
  const latentRows = kvLoraRank + ropeDim;
  const isCompressed = qLoraRank !== undefined;
  const [firstName, firstRows] = isCompressed ? ['q_a_proj', qLoraRank] : ['q_proj', queryRows];
  const input = [
    weight(firstName, firstRows, hiddenSize),
    weight('kv_a_proj_with_mqa', latentRows, hiddenSize),
  ];
  // q_proj has no bias where the others have one.
  const inputBias = () =>
    sideBySide([
      isCompressed ? vector('q_a_proj.bias', qLoraRank) : zeros(queryRows),
      vector('kv_a_proj_with_mqa.bias', latentRows),
    ]);
  const output = [weight('o_proj', hiddenSize, numHeads * vDim)];
  return {
    input: config.bias ? { weight: input, bias: [inputBias()] } : { weight: input },
    ...(isCompressed && {
      queryUp: {
        norm: [vector('q_a_layernorm.weight', qLoraRank)],
        projection: { weight: [weight('q_b_proj', queryRows, qLoraRank)] },
      },
    }),
    latentNorm: [vector('kv_a_layernorm.weight', kvLoraRank)],
    keyValue: [weight('kv_b_proj', numHeads * (nopeDim + vDim), kvLoraRank)],
    output: config.bias
      ? { weight: output, bias: [vector('o_proj.bias', hiddenSize)] }
      : { weight: output },
    ...(model.indexer?.kinds[layer] === 'full' && {
      indexer: indexer(model, model.indexer.numHeads, tensors, `${prefix}indexer.`),
    }),
  };
}

function indexer(
  { hiddenSize, attention: { qLoraRank = 0 } }: ModelConfig,
  numHeads: number,
  tensors: TensorSource,
  prefix: string,
): IndexerWeights<Parts> {
  return {
    query: [tensors.matrix(`${prefix}wq_b.weight`, numHeads * indexDim, qLoraRank)],
    key: [tensors.matrix(`${prefix}wk.weight`, indexDim, hiddenSize)],
    keyNorm: [tensors.vector(`${prefix}k_norm.weight`, indexDim)],
    keyBias: [tensors.vector(`${prefix}k_norm.bias`, indexDim)],
    headWeights: [tensors.plainMatrix(`${prefix}weights_proj.weight`, numHeads, hiddenSize)],
  };
}

function mlp(
  tensors: TensorSource,
  prefix: string,
  hiddenSize: number,
  width: number,
): MlpWeights<Parts> {
  return {
    gateUp: [
      tensors.matrix(`${prefix}gate_proj.weight`, width, hiddenSize),
      tensors.matrix(`${prefix}up_proj.weight`, width, hiddenSize),
    ],
    down: [tensors.matrix(`${prefix}down_proj.weight`, hiddenSize, width)],
  };
}

function moe(config: ModelConfig, tensors: TensorSource, prefix: string): MoeWeights<Parts> {
  const { hiddenSize, moe: experts } = config;
  if (experts === undefined) throw new Error('a layer of experts without a config for them');
  const { numExperts, intermediateSize, sharedIntermediateSize, routing } = experts;
  const biasName = `${prefix}gate.e_score_correction_bias`;
  const routed = tensors.has(`${prefix}experts.gate_up_proj`)
    ? stackedExperts(tensors, `${prefix}experts.`, numExperts, hiddenSize, intermediateSize)
    : separateExperts(tensors, `${prefix}experts.`, numExperts, hiddenSize, intermediateSize);
  const numShared = sharedIntermediateSize / intermediateSize;
  const shared =
    numShared > 0
      ? sharedExperts(
          mlp(tensors, `${prefix}shared_experts.`, hiddenSize, sharedIntermediateSize),
          numShared,
          intermediateSize,
        )
      : { gateUp: [], down: [] };
  return {
    router: [tensors.plainMatrix(`${prefix}gate.weight`, numExperts, hiddenSize)],
    routerBias: routing.biased ? [tensors.vector(biasName, numExperts)] : undefined,
    experts: {
      gateUp: [...routed.gateUp, ...shared.gateUp],
      down: [...routed.down, ...shared.down],
    },
    numShared,
  };
}

/** The one wide MLP that a checkpoint has for all shared experts, cut into experts. */
function sharedExperts(
  { gateUp, down }: MlpWeights<Parts>,
  count: number,
  width: number,
): MlpWeights<Parts> {
  const ranges = Array.from({ length: count }, (_, e) => [e * width, (e + 1) * width] as const);
  return {
    gateUp: ranges.flatMap(([begin, end]) => gateUp.map((part) => rowsOf(part, begin, end))),
    down: ranges.flatMap(([begin, end]) => down.map((part) => columnsOf(part, begin, end))),
  };
}

function separateExperts(
  tensors: TensorSource,
  prefix: string,
  count: number,
  hiddenSize: number,
  width: number,
): MlpWeights<Parts> {
  const experts = Array.from({ length: count }, (_, e) =>
    mlp(tensors, `${prefix}${e}.`, hiddenSize, width),
  );
  return {
    gateUp: experts.flatMap(({ gateUp }) => gateUp),
    down: experts.flatMap(({ down }) => down),
  };
}

/** As transformers keeps them in memory: one tensor for all experts, gate before up. */
function stackedExperts(
  tensors: TensorSource,
  prefix: string,
  count: number,
  hiddenSize: number,
  width: number,
): MlpWeights<Parts> {
  const all = (name: string, rows: number, columns: number) =>
    Array.from({ length: count }, (_, e) =>
      tensors.slice(`${prefix}${name}`, e, count, rows, columns),
    );
  return {
    gateUp: all('gate_up_proj', 2 * width, hiddenSize),
    down: all('down_proj', hiddenSize, width),
  };
}
