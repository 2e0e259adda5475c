import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config/parse-config.ts';
import { dataPath, tinyConfig, tinyModels } from '../testing/data.ts';
import type { TensorList } from '../testing/tiny-weights.ts';
import { cacheValuesPerToken, parametersOf } from './parameters.ts';

describe('parametersOf', () => {
  it.each(tinyModels)('counts what the checkpoint of %s has', (name) => {
    const list: TensorList = JSON.parse(
      readFileSync(dataPath(`tiny/${name}/tensors.json`), 'utf8'),
    );
    const sizes = Object.entries(list)
      .filter(([tensor]) => !tensor.endsWith('_scale_inv'))
      .map(([, [, shape]]) => shape.reduce((product, n) => product * n, 1));
    const { total, active } = parametersOf(parseConfig(tinyConfig(name)));
    expect(total).toBe(sizes.reduce((sum, size) => sum + size, 0));
    expect(active).toBeLessThan(total);
  });

  it('gives the published sizes of DeepSeek-V3: 671 billion, 37 of them active', () => {
    const config = parseConfig(
      JSON.stringify({
        model_type: 'deepseek_v3',
        num_hidden_layers: 61,
        hidden_size: 7168,
        num_attention_heads: 128,
        q_lora_rank: 1536,
        kv_lora_rank: 512,
        qk_nope_head_dim: 128,
        qk_rope_head_dim: 64,
        v_head_dim: 128,
        first_k_dense_replace: 3,
        intermediate_size: 18432,
        moe_intermediate_size: 2048,
        n_routed_experts: 256,
        n_shared_experts: 1,
        num_experts_per_tok: 8,
        n_group: 8,
        topk_group: 4,
        vocab_size: 129280,
        max_position_embeddings: 163840,
        tie_word_embeddings: false,
      }),
    );
    const { total, active } = parametersOf(config);
    expect(total / 1e9).toBeCloseTo(671.0, 1);
    expect(active / 1e9).toBeGreaterThan(36);
    expect(active / 1e9).toBeLessThan(38);
    // 70,272 bytes a token in bf16.
    expect(cacheValuesPerToken(config) * 2).toBe(70272);
  });
});
