import type { JsonFields, Range } from './json-fields.ts';
import type {
  IndexerConfig,
  ModelConfig,
  MoeConfig,
  QuantizationConfig,
  RoutingConfig,
} from './model-config.ts';
import { ropeConfig } from './rope-config.ts';

/** Where the families differ in what they share. */
export interface CommonChoices {
  readonly ropePairing: 'interleaved' | 'halves';
  /** Of the latent norms; by default 1e-6, which DeepSeek's code has fixed. */
  readonly latentNormEps?: number;
  readonly tiedHead: boolean;
  readonly mlpKinds?: readonly ('dense' | 'moe')[];
  /** Called where a layer has experts. */
  readonly moe?: () => MoeConfig;
  readonly scales?: ModelConfig['scales'];
  readonly indexer?: IndexerConfig;
}

const size: Range = { min: 1, max: 2 ** 20 };
const head: Range = { min: 1, max: 4096 };
const count: Range = { min: 1, max: 1024 };

/** What every family has: sizes, attention, rotary embedding. */
export function commonConfig(
  family: string,
  fields: JsonFields,
  choices: CommonChoices,
): ModelConfig {
  fields.choice('hidden_act', ['silu'], 'silu');
  if (fields.boolean('mlp_bias', false)) {
    fields.fail(
      'mlp_bias',
      'false',
      'true',
      'No released model of these families has such biases.',
    );
  }
  const numLayers = fields.integer('num_hidden_layers', count);
  const maxPositions = fields.integer('max_position_embeddings', { min: 1, max: 2 ** 31 - 1 });
  const mlpKinds = choices.mlpKinds ?? new Array<'dense'>(numLayers).fill('dense');
  return {
    family,
    numLayers,
    hiddenSize: fields.integer('hidden_size', size),
    vocabSize: fields.integer('vocab_size', { min: 1, max: 2 ** 24 }),
    maxPositions,
    rmsNormEps: fields.number('rms_norm_eps', { min: 0, max: 1 }, 1e-6),
    tiedHead: fields.boolean('tie_word_embeddings', choices.tiedHead),
    attention: attentionConfig(fields, choices, maxPositions),
    indexer: choices.indexer,
    mlpKinds,
    intermediateSize: mlpKinds.includes('dense') ? fields.integer('intermediate_size', size) : 0,
    moe: mlpKinds.includes('moe') ? choices.moe?.() : undefined,
    numNextTokenLayers: fields.integer('num_nextn_predict_layers', { min: 0, max: 16 }, 0),
    scales: choices.scales ?? { embedding: 1, residual: 1, head: 1 },
    bosTokenId: fields.tokenIds('bos_token_id')?.[0],
    eosTokenIds: fields.tokenIds('eos_token_id') ?? [],
    quantization: quantizationConfig(fields),
  };
}

function attentionConfig(
  fields: JsonFields,
  { ropePairing, latentNormEps = 1e-6 }: CommonChoices,
  maxPositions: number,
): ModelConfig['attention'] {
  const numHeads = fields.integer('num_attention_heads', { min: 1, max: 4096 });
  const ropeDim = fields.integer('qk_rope_head_dim', { min: 2, max: 4096 });
  if (ropeDim % 2 !== 0) fields.fail('qk_rope_head_dim', 'an even number', `${ropeDim}`);
  const nopeDim = fields.integer('qk_nope_head_dim', head);
  const rope = ropeConfig(fields, { dim: ropeDim, maxPositions, pairing: ropePairing });
  const factor = rope.scaling.kind === 'yarn' ? rope.scaling.softmaxFactor : 1;
  return {
    numHeads,
    qLoraRank: fields.has('q_lora_rank') ? fields.integer('q_lora_rank', size) : undefined,
    kvLoraRank: fields.integer('kv_lora_rank', size),
    nopeDim,
    ropeDim,
    vDim: fields.integer('v_head_dim', head),
    latentNormEps,
    softmaxScale: factor / Math.sqrt(nopeDim + ropeDim),
    bias: fields.boolean('attention_bias', false),
    rope,
  };
}

/** `mlp_layer_types` where the file has it, else `first_k_dense_replace` and `moe_layer_freq`. */
export function mlpKinds(fields: JsonFields): ('dense' | 'moe')[] {
  const numLayers = fields.integer('num_hidden_layers', count);
  if (fields.has('mlp_layer_types')) {
    const kinds = fields.list('mlp_layer_types');
    if (kinds.length !== numLayers) {
      fields.fail('mlp_layer_types', `${numLayers} entries, one a layer`, `${kinds.length}`);
    }
    return kinds.map((kind, i) => {
      if (kind === 'dense') return 'dense';
      if (kind === 'sparse') return 'moe';
      return fields.fail(`mlp_layer_types[${i}]`, 'dense or sparse', String(kind).slice(0, 40));
    });
  }
  const firstDense = fields.integer('first_k_dense_replace', { min: 0, max: 1024 }, 0);
  const every = fields.integer('moe_layer_freq', count, 1);
  return Array.from({ length: numLayers }, (_, i) =>
    i >= firstDense && i % every === 0 ? 'moe' : 'dense',
  );
}

/** Sizes of the experts, and the routing that the family computes over them. */
export function moeConfig(
  fields: JsonFields,
  routing: Pick<RoutingConfig, 'scores' | 'biased' | 'groupScore'>,
  options: { readonly grouped: boolean; readonly normalize: boolean },
): MoeConfig {
  const numExperts = fields.integer('n_routed_experts', count);
  const intermediateSize = fields.integer('moe_intermediate_size', size);
  const numGroups = options.grouped ? fields.integer('n_group', count, 1) : 1;
  if (numExperts % numGroups !== 0) {
    fields.fail('n_group', `a divisor of the ${numExperts} experts`, `${numGroups}`);
  }
  const topGroups = options.grouped
    ? fields.integer('topk_group', { min: 1, max: numGroups }, numGroups)
    : 1;
  const eligible = (numExperts / numGroups) * topGroups;
  const shared = fields.integer('n_shared_experts', { min: 0, max: 1024 }, 0);
  return {
    numExperts,
    intermediateSize,
    sharedIntermediateSize: shared * intermediateSize,
    routing: {
      ...routing,
      topK: fields.integer('num_experts_per_tok', { min: 1, max: eligible }),
      numGroups,
      topGroups,
      normalize: options.normalize,
      scale: fields.number('routed_scaling_factor', { min: 0, max: 1e6 }, 1),
    },
  };
}

function quantizationConfig(fields: JsonFields): QuantizationConfig | undefined {
  if (!fields.has('quantization_config')) return undefined;
  const config = fields.object('quantization_config');
  config.choice('quant_method', ['fp8']);
  config.choice('fmt', ['e4m3'], 'e4m3');
  if (!config.has('weight_block_size')) {
    config.fail('weight_block_size', '[rows, columns] of a block', 'nothing');
  }
  const [blockRows = 0, blockColumns = 0] = config.numbers('weight_block_size', 2, size);
  if (!Number.isInteger(blockRows) || !Number.isInteger(blockColumns)) {
    config.fail('weight_block_size', 'integers', `[${blockRows}, ${blockColumns}]`);
  }
  return { blockRows, blockColumns };
}
