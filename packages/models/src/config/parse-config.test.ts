import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModelError, UnsupportedModelError } from '../errors.ts';
import { modelTypes } from '../families/index.ts';
import { talesText, tinyConfig, tinyModels } from '../testing/data.ts';
import { parseConfig } from './parse-config.ts';

/** A config.json of DeepSeek V3, with the given fields instead of or beside its own. */
function v3(changes: Record<string, unknown>): string {
  return JSON.stringify({ ...JSON.parse(tinyConfig('deepseek-v3')), ...changes });
}

describe('parseConfig', () => {
  it.each(tinyModels)('reads %s', (name) => {
    const config = parseConfig(tinyConfig(name));
    expect(config).toMatchObject({
      numLayers: 3,
      hiddenSize: 256,
      vocabSize: 512,
      tiedHead: false,
    });
    expect(config.attention.numHeads).toBe(4);
    expect(config.moe === undefined).toBe(name === 'minicpm3' || name === 'youtu');
  });

  it('reads what distinguishes the families', () => {
    const { moe, attention } = parseConfig(tinyConfig('deepseek-v2'));
    expect(moe?.routing).toEqual({
      scores: 'softmax',
      biased: false,
      groupScore: 'best',
      topK: 2,
      numGroups: 4,
      topGroups: 2,
      normalize: false,
      scale: 16,
    });
    expect(attention.qLoraRank).toBe(192);
    expect(parseConfig(tinyConfig('deepseek-v2-lite')).attention.qLoraRank).toBeUndefined();
    const v3Routing = parseConfig(tinyConfig('deepseek-v3')).moe?.routing;
    expect(v3Routing).toMatchObject({ scores: 'sigmoid', biased: true, groupScore: 'two-best' });
    const small = parseConfig(tinyConfig('minicpm3'));
    expect(small.attention.rope.pairing).toBe('halves');
    expect(small.scales.residual).toBeCloseTo(1.4 / Math.sqrt(3), 12);
    expect(small.scales).toMatchObject({ embedding: 12, head: 0.5 });
    expect(parseConfig(tinyConfig('deepseek-v3-fp8')).quantization).toEqual({
      blockRows: 128,
      blockColumns: 128,
    });
    expect(parseConfig(talesText('config.json')).eosTokenIds).toEqual([1]);
  });

  // Published values: DeepSeek-V3 0.1352337, V2-Lite 0.1147214, Kimi K2 0.1308608.
  it.each([
    [40, 1, 0.1352337],
    // biome-ignore lint/suspicious/noApproximativeNumericConstant: what DeepSeek-V2-Lite has.
    [40, 0.707, 0.1147214],
    [32, 1, 0.1308608],
  ])('multiplies the softmax scale by YaRN: factor %s, mscale %s', (factor, mscale, scale) => {
    const scaling = {
      type: 'yarn',
      factor,
      mscale,
      mscale_all_dim: mscale,
      original_max_position_embeddings: 4096,
      beta_fast: 32,
      beta_slow: 1,
    };
    // Both ways to write it down.
    const old = v3({ rope_parameters: null, rope_theta: 10000, rope_scaling: scaling });
    const { type, ...rest } = scaling;
    const now = v3({ rope_parameters: { ...rest, rope_type: type, rope_theta: 10000 } });
    for (const text of [old, now]) {
      const { attention } = parseConfig(text);
      expect(attention.softmaxScale).toBeCloseTo(scale, 6);
      expect(attention.rope).toMatchObject({ theta: 10000, scaling: { amplitude: 1, factor } });
    }
  });

  it('reads the factors of longrope', () => {
    const factors = Array.from({ length: 16 }, (_, i) => 1 + i);
    const config = parseConfig(
      JSON.stringify({
        ...JSON.parse(tinyConfig('minicpm3')),
        rope_parameters: undefined,
        rope_theta: 10000,
        max_position_embeddings: 65536,
        rope_scaling: {
          type: 'longrope',
          short_factor: factors,
          long_factor: factors,
          original_max_position_embeddings: 32768,
        },
      }),
    );
    expect(config.attention.rope.scaling).toMatchObject({
      kind: 'longrope',
      longFactors: factors,
      amplitude: Math.sqrt(1 + Math.log(2) / Math.log(32768)),
    });
  });

  it('takes the kinds of layers from either field', () => {
    const one = parseConfig(v3({ first_k_dense_replace: 2 }));
    expect(one.mlpKinds).toEqual(['dense', 'dense', 'moe']);
    const two = parseConfig(v3({ mlp_layer_types: ['sparse', 'dense', 'sparse'] }));
    expect(two.mlpKinds).toEqual(['moe', 'dense', 'moe']);
  });

  it('reads which layers have an indexer of their own', () => {
    const glm = (changes: Record<string, unknown>) =>
      parseConfig(JSON.stringify({ ...JSON.parse(tinyConfig('glm-moe-dsa')), ...changes })).indexer;
    const own = { indexer_types: undefined };
    expect(parseConfig(tinyConfig('deepseek-v3')).indexer).toBeUndefined();
    expect(parseConfig(tinyConfig('deepseek-v32')).indexer).toEqual({
      ...{ numHeads: 8, topK: 32, pairing: 'halves', kinds: ['full', 'full', 'full'] },
    });
    expect(glm({})).toMatchObject({ pairing: 'interleaved', kinds: ['full', 'full', 'full'] });
    const types = ['full', 'shared', 'full'];
    expect(glm({ indexer_types: types })?.kinds).toEqual(types);
    expect(glm({ ...own, index_topk_pattern: 'FSSF' })?.kinds).toEqual([
      'full',
      'shared',
      'shared',
    ]);
    const layers = { num_hidden_layers: 12, mlp_layer_types: undefined };
    const frequent = { ...own, ...layers, index_topk_freq: 4, index_skip_topk_offset: 3 };
    // GLM-5.2: the first three, and every fourth from the seventh on.
    const full = glm(frequent)?.kinds.flatMap((kind, i) => (kind === 'full' ? [i] : []));
    expect(full).toEqual([0, 1, 2, 6, 10]);
  });

  it.each([
    ['indexer_types', ['shared', 'full', 'full'], 'a first layer that chooses'],
    ['indexer_types', ['full'], 'an entry for each of 3 layers'],
    ['indexer_types', ['full', 'half', 'full'], 'full or shared'],
    ['index_head_dim', 64, '128'],
    ['index_n_heads', 65, 'an integer from 1 to 64'],
    ['index_topk', undefined, 'an integer from 1 to 4096'],
  ])('refuses an indexer with %s: %j', (field, value, expected) => {
    const config = { ...JSON.parse(tinyConfig('glm-moe-dsa')), [field]: value };
    expect(() => parseConfig(JSON.stringify(config))).toThrow(
      expect.objectContaining({
        subject: expect.stringContaining(`config.json: ${field}`),
        expected: expect.stringContaining(expected),
      }),
    );
  });

  it('names the families there are for a model of none of them', () => {
    const error = (() => {
      try {
        return parseConfig('{ "model_type": "deepseek_v4" }', 'x/config.json');
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error).toMatchObject({ modelType: 'deepseek_v4', families: modelTypes() });
    expect(String(error)).toContain(
      'deepseek_v2, deepseek_v3, kimi_k2, deepseek_v32, glm4_moe_lite',
    );
  });

  it.each([
    ['num_hidden_layers', -1, 'an integer from 1 to 1024'],
    ['hidden_size', 1.5, 'an integer'],
    ['qk_rope_head_dim', 63, 'an even number'],
    ['n_group', 3, 'a divisor of the 8 experts'],
    ['topk_group', 5, 'an integer from 1 to 4'],
    ['num_experts_per_tok', 5, 'an integer from 1 to 4'],
    ['mlp_layer_types', ['dense'], '3 entries'],
    ['rope_parameters', { rope_type: 'linear', factor: 2 }, 'one of default, yarn, longrope'],
    ['quantization_config', { quant_method: 'compressed-tensors' }, 'one of fp8'],
    ['quantization_config', { quant_method: 'fp8' }, '[rows, columns] of a block'],
    ['eos_token_id', [1, 'x'], 'a token id'],
    ['scoring_func', 'softmax', 'one of sigmoid'],
  ])('refuses %s: %j', (field, value, expected) => {
    expect(() => parseConfig(v3({ [field]: value }))).toThrow(
      expect.objectContaining({
        name: 'ModelConfigError',
        subject: expect.stringContaining(`config.json: ${field}`),
        expected: expect.stringContaining(expected),
      }),
    );
  });

  it('answers every malformed file with a typed error', () => {
    const base = JSON.parse(tinyConfig('deepseek-v3-yarn')) as Record<string, unknown>;
    const change = fc.record({
      field: fc.constantFrom(...Object.keys(base), 'quantization_config', '__proto__'),
      value: fc.oneof(fc.jsonValue(), fc.double(), fc.integer(), fc.constant(undefined)),
    });
    const outcome = (text: string) => {
      try {
        return parseConfig(text).numLayers > 0;
      } catch (error) {
        return error instanceof ModelError && error.remedy !== '';
      }
    };
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), (changes) => {
        const fields = Object.fromEntries(changes.map(({ field, value }) => [field, value]));
        return outcome(JSON.stringify({ ...base, ...fields }));
      }),
      { seed: 16, numRuns: 2000 },
    );
    fc.assert(fc.property(fc.string(), outcome), { seed: 16, numRuns: 200 });
  });
});
