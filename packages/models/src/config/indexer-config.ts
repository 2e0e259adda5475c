import type { JsonFields } from './json-fields.ts';
import type { IndexerConfig } from './model-config.ts';

/** Dimensions of an index query or key, and how many of the first are rotated. */
export const [indexDim, indexRopeDim] = [128, 64] as const;

/** Heads of an indexer and tokens chosen, at most: what the kernels can do. */
const [maxHeads, maxTopK] = [64, 4096];

/**
 * The indexer of DeepSeek V3.2 and GLM-5. Layers that share the choice of another one are named by
 * `indexer_types`, by a string of F and S, or by how often a layer chooses.
 */
export function indexerConfig(
  fields: JsonFields,
  pairing: IndexerConfig['pairing'],
): IndexerConfig {
  for (const [name, only] of [
    ['index_head_dim', indexDim],
    ['qk_rope_head_dim', indexRopeDim],
  ] as const) {
    const value = fields.integer(name, { min: 1, max: 4096 }, only);
    if (value !== only) fields.fail(name, `${only}, which indexers have`, `${value}`);
  }
  if (!fields.has('q_lora_rank')) {
    fields.fail('q_lora_rank', 'a number: the indexer takes compressed queries', 'none');
  }
  const numLayers = fields.integer('num_hidden_layers', { min: 1, max: 1024 });
  const kinds = kindsOf(fields, numLayers);
  if (kinds[0] !== 'full') {
    fields.fail('indexer_types', 'a first layer that chooses', 'one that shares');
  }
  return {
    numHeads: fields.integer('index_n_heads', { min: 1, max: maxHeads }),
    topK: fields.integer('index_topk', { min: 1, max: maxTopK }),
    pairing,
    kinds,
  };
}

function kindsOf(fields: JsonFields, numLayers: number): ('full' | 'shared')[] {
  if (fields.has('indexer_types')) {
    const types = fields.list('indexer_types');
    checkLength(fields, 'indexer_types', types.length, numLayers);
    return types.slice(0, numLayers).map((type, i) => {
      if (type === 'full' || type === 'shared') return type;
      return fields.fail(`indexer_types[${i}]`, 'full or shared', String(type).slice(0, 40));
    });
  }
  if (fields.has('index_topk_pattern')) {
    const pattern = fields.string('index_topk_pattern');
    checkLength(fields, 'index_topk_pattern', pattern.length, numLayers);
    return [...pattern].slice(0, numLayers).map((letter, i) => {
      if (letter === 'F') return 'full';
      if (letter === 'S') return 'shared';
      return fields.fail(`index_topk_pattern[${i}]`, 'F or S', letter);
    });
  }
  const every = fields.integer('index_topk_freq', { min: 1, max: 1024 }, 1);
  const offset = fields.integer('index_skip_topk_offset', { min: 0, max: 1024 }, 2);
  return Array.from({ length: numLayers }, (_, i) =>
    Math.max(i - offset + 1, 0) % every === 0 ? 'full' : 'shared',
  );
}

/** Further entries are those of layers that predict further tokens. */
function checkLength(fields: JsonFields, name: string, length: number, numLayers: number): void {
  if (length >= numLayers) return;
  fields.fail(name, `an entry for each of ${numLayers} layers`, `${length}`);
}
