/** Shapes of released models, as their config.json gives them: what is computed, without names of tokens. */

const moe = {
  n_group: 1,
  topk_group: 1,
  first_k_dense_replace: 1,
  norm_topk_prob: true,
  topk_method: 'noaux_tc',
};
const latent = { kv_lora_rank: 512, qk_nope_head_dim: 128, qk_rope_head_dim: 64, v_head_dim: 128 };

/** Of YaRN, as the file has it, not the square root of a half. */
const mscale = 707 / 1000;

const moonlight = {
  ...{ model_type: 'deepseek_v3', num_hidden_layers: 27, hidden_size: 2048, vocab_size: 163840 },
  ...{ num_attention_heads: 16, q_lora_rank: null, ...latent, rope_theta: 50000 },
  ...{ ...moe, intermediate_size: 11264, moe_intermediate_size: 1408, n_routed_experts: 64 },
  ...{ n_shared_experts: 2, num_experts_per_tok: 6, routed_scaling_factor: 2.446 },
  ...{ max_position_embeddings: 8192, rms_norm_eps: 1e-5, tie_word_embeddings: false },
};

const deepseekV2Lite = {
  ...{ model_type: 'deepseek_v2', num_hidden_layers: 27, hidden_size: 2048, vocab_size: 102400 },
  ...{ num_attention_heads: 16, q_lora_rank: null, ...latent, rope_theta: 10000 },
  rope_scaling: {
    ...{ type: 'yarn', factor: 40, original_max_position_embeddings: 4096, beta_fast: 32 },
    ...{ beta_slow: 1, mscale, mscale_all_dim: mscale },
  },
  ...{ ...moe, norm_topk_prob: false, topk_method: 'greedy', intermediate_size: 10944 },
  ...{ moe_intermediate_size: 1408, n_routed_experts: 64, n_shared_experts: 2 },
  ...{ num_experts_per_tok: 6, max_position_embeddings: 163840, tie_word_embeddings: false },
};

const glmFlash = {
  ...{ model_type: 'glm4_moe_lite', num_hidden_layers: 47, hidden_size: 2048, vocab_size: 154880 },
  ...{ num_attention_heads: 20, q_lora_rank: 768, kv_lora_rank: 512, rope_theta: 1e6 },
  ...{ qk_nope_head_dim: 192, qk_rope_head_dim: 64, v_head_dim: 256 },
  ...{ ...moe, intermediate_size: 10240, moe_intermediate_size: 1536, n_routed_experts: 64 },
  ...{ n_shared_experts: 1, num_experts_per_tok: 4, routed_scaling_factor: 1.8 },
  ...{ max_position_embeddings: 202752, rms_norm_eps: 1e-5, tie_word_embeddings: false },
};

const youtu = {
  ...{ model_type: 'youtu', num_hidden_layers: 32, hidden_size: 2048, vocab_size: 128256 },
  ...{ num_attention_heads: 16, q_lora_rank: 1536, ...latent, rope_theta: 1.6e6 },
  ...{ intermediate_size: 6144, max_position_embeddings: 131072, tie_word_embeddings: true },
};

const minicpm3 = {
  ...{ model_type: 'minicpm3', num_hidden_layers: 62, hidden_size: 2560, vocab_size: 73448 },
  ...{ num_attention_heads: 40, q_lora_rank: 768, kv_lora_rank: 256, qk_nope_head_dim: 64 },
  ...{ qk_rope_head_dim: 32, v_head_dim: 64, intermediate_size: 6400, rms_norm_eps: 1e-5 },
  ...{ scale_emb: 12, scale_depth: 1.4, dim_model_base: 256, max_position_embeddings: 32768 },
  tie_word_embeddings: true,
};

const deepseekV32 = {
  ...{ model_type: 'deepseek_v32', num_hidden_layers: 61, hidden_size: 7168, vocab_size: 129280 },
  ...{ num_attention_heads: 128, q_lora_rank: 1536, ...latent, rope_theta: 10000 },
  rope_scaling: {
    ...{ type: 'yarn', factor: 40, original_max_position_embeddings: 4096, beta_fast: 32 },
    ...{ beta_slow: 1, mscale: 1, mscale_all_dim: 1 },
  },
  ...{ ...moe, n_group: 8, topk_group: 4, first_k_dense_replace: 3, scoring_func: 'sigmoid' },
  ...{ intermediate_size: 18432, moe_intermediate_size: 2048, n_routed_experts: 256 },
  ...{ n_shared_experts: 1, num_experts_per_tok: 8, routed_scaling_factor: 2.5 },
  ...{ index_n_heads: 64, index_head_dim: 128, index_topk: 2048 },
  ...{ max_position_embeddings: 163840, tie_word_embeddings: false },
};

/** By the names that `bench model --shape` takes. */
export const modelShapes: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'moonlight-16b-a3b': moonlight,
  'glm-4.7-flash': glmFlash,
  'youtu-2b': youtu,
  'deepseek-v2-lite': deepseekV2Lite,
  'minicpm3-4b': minicpm3,
  'deepseek-v3.2': deepseekV32,
};
