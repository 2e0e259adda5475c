// A checkpoint of deepseek_v3 as llama.cpp reads it: architecture deepseek2, with the matrices of attention as
// the absorbed form multiplies with them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '@flash-mla/safetensors';
import { array, bool, f32, string, u32, writeGguf } from './gguf.mjs';

/** Metadata's numbers for what llama.cpp calls these things. */
const sigmoidGate = 2;
const [normalToken, controlToken] = [1, 3];

/**
 * Writes the GGUF file of a checkpoint in bf16 without query compression, as `@flash-mla/tales` is. llama.cpp
 * knows such models by their number of layers alone, and takes queries of others to be compressed and normed. So
 * there is a compression that changes nothing: it divides by the gain of the norm before it, and its norm has
 * that gain.
 */
export async function convert(folder, path) {
  const json = (file) => JSON.parse(readFileSync(join(folder, file), 'utf8'));
  const config = json('config.json');
  const file = await openSafetensors(join(folder, 'model.safetensors'));
  try {
    const tensors = [];
    const codes = async (name) => (await file.read(name, 'bf16')).data;
    const bf16 = async (name, from, shape) =>
      tensors.push({ name, dtype: 'bf16', shape, data: await codes(from) });
    const widened = async (from) => {
      const { dtype, data } = await file.read(from);
      return dtype === 'f32' ? data : widen(data);
    };
    const full = (name, shape, data) => tensors.push({ name, dtype: 'f32', shape, data });
    const sizes = sizesOf(config);
    const { hidden, heads, nope, rope, v, latent, experts, width } = sizes;
    await bf16('token_embd.weight', 'model.embed_tokens.weight', [config.vocab_size, hidden]);
    await bf16('output.weight', 'lm_head.weight', [config.vocab_size, hidden]);
    full('output_norm.weight', [hidden], await widened('model.norm.weight'));
    for (let i = 0; i < config.num_hidden_layers; i++) {
      const [to, from] = [`blk.${i}`, `model.layers.${i}`];
      const attention = `${from}.self_attn`;
      const gain = await widened(`${from}.input_layernorm.weight`);
      full(`${to}.attn_norm.weight`, [hidden], gain);
      full(`${to}.attn_q_a.weight`, [hidden, hidden], diagonal(gain.map((value) => 1 / value)));
      full(`${to}.attn_q_a_norm.weight`, [hidden], gain);
      await bf16(`${to}.attn_q_b.weight`, `${attention}.q_proj.weight`, [
        heads * (nope + rope),
        hidden,
      ]);
      await bf16(`${to}.attn_kv_a_mqa.weight`, `${attention}.kv_a_proj_with_mqa.weight`, [
        latent + rope,
        hidden,
      ]);
      full(
        `${to}.attn_kv_a_norm.weight`,
        [latent],
        await widened(`${attention}.kv_a_layernorm.weight`),
      );
      const { keys, values } = splitLatent(await codes(`${attention}.kv_b_proj.weight`), sizes);
      tensors.push({
        name: `${to}.attn_k_b.weight`,
        dtype: 'bf16',
        shape: [heads, latent, nope],
        data: keys,
      });
      tensors.push({
        name: `${to}.attn_v_b.weight`,
        dtype: 'bf16',
        shape: [heads, v, latent],
        data: values,
      });
      await bf16(`${to}.attn_output.weight`, `${attention}.o_proj.weight`, [hidden, heads * v]);
      full(
        `${to}.ffn_norm.weight`,
        [hidden],
        await widened(`${from}.post_attention_layernorm.weight`),
      );
      const matrices = [
        ['gate', width, hidden],
        ['up', width, hidden],
        ['down', hidden, width],
      ];
      if (i < config.first_k_dense_replace) {
        const dense = config.intermediate_size;
        for (const [name, rows] of matrices) {
          const shape = rows === hidden ? [hidden, dense] : [dense, hidden];
          await bf16(`${to}.ffn_${name}.weight`, `${from}.mlp.${name}_proj.weight`, shape);
        }
        continue;
      }
      full(
        `${to}.ffn_gate_inp.weight`,
        [experts, hidden],
        await widened(`${from}.mlp.gate.weight`),
      );
      full(
        `${to}.exp_probs_b.bias`,
        [experts],
        await widened(`${from}.mlp.gate.e_score_correction_bias`),
      );
      for (const [name, rows, columns] of matrices) {
        const data = new Uint16Array(experts * rows * columns);
        for (let e = 0; e < experts; e++) {
          const own = await codes(`${from}.mlp.experts.${e}.${name}_proj.weight`);
          data.set(own, e * rows * columns);
        }
        tensors.push({
          name: `${to}.ffn_${name}_exps.weight`,
          dtype: 'bf16',
          shape: [experts, rows, columns],
          data,
        });
        const shared = [rows, columns].map((n) => (n === width ? n * config.n_shared_experts : n));
        await bf16(
          `${to}.ffn_${name}_shexp.weight`,
          `${from}.mlp.shared_experts.${name}_proj.weight`,
          shared,
        );
      }
    }
    writeGguf(
      path,
      { ...metadata(config, sizes), ...vocabulary(config, json('tokenizer.json')) },
      tensors,
    );
  } finally {
    await file.close();
  }
}

function sizesOf(config) {
  if (config.model_type !== 'deepseek_v3' || config.q_lora_rank !== null) {
    throw new Error(`This converts deepseek_v3 without q_lora_rank, not ${config.model_type}.`);
  }
  return {
    ...{ hidden: config.hidden_size, heads: config.num_attention_heads },
    ...{ nope: config.qk_nope_head_dim, rope: config.qk_rope_head_dim, v: config.v_head_dim },
    ...{ latent: config.kv_lora_rank, experts: config.n_routed_experts },
    width: config.moe_intermediate_size,
  };
}

/** Keys of each head transposed, (heads, latent, nope), and values, (heads, v, latent). */
function splitLatent(codes, { heads, nope, v, latent }) {
  const keys = new Uint16Array(heads * latent * nope);
  const values = new Uint16Array(heads * v * latent);
  for (let head = 0; head < heads; head++) {
    const begin = head * (nope + v) * latent;
    for (let n = 0; n < nope; n++) {
      for (let l = 0; l < latent; l++) {
        keys[(head * latent + l) * nope + n] = codes[begin + n * latent + l];
      }
    }
    const own = codes.subarray(begin + nope * latent, begin + (nope + v) * latent);
    values.set(own, head * v * latent);
  }
  return { keys, values };
}

const widen = (codes) => new Float32Array(Uint32Array.from(codes, (code) => code << 16).buffer);

function diagonal(values) {
  const matrix = new Float32Array(values.length ** 2);
  for (const [i, value] of values.entries()) matrix[i * values.length + i] = value;
  return matrix;
}

function metadata(config, { hidden, heads, nope, rope, v, latent, experts, width }) {
  const of = (fields) =>
    Object.fromEntries(Object.entries(fields).map(([key, value]) => [`deepseek2.${key}`, value]));
  const { rope_theta: theta = config.rope_theta } = config.rope_parameters ?? {};
  return {
    'general.architecture': string('deepseek2'),
    'general.name': string('converted'),
    'general.file_type': u32(32),
    ...of({
      block_count: u32(config.num_hidden_layers),
      context_length: u32(config.max_position_embeddings),
      embedding_length: u32(hidden),
      feed_forward_length: u32(config.intermediate_size),
      vocab_size: u32(config.vocab_size),
      leading_dense_block_count: u32(config.first_k_dense_replace),
      'attention.head_count': u32(heads),
      'attention.head_count_kv': u32(1),
      'attention.layer_norm_rms_epsilon': f32(config.rms_norm_eps),
      'attention.q_lora_rank': u32(hidden),
      'attention.kv_lora_rank': u32(latent),
      'attention.key_length': u32(latent + rope),
      'attention.value_length': u32(latent),
      'attention.key_length_mla': u32(nope + rope),
      'attention.value_length_mla': u32(v),
      'rope.dimension_count': u32(rope),
      'rope.freq_base': f32(theta),
      expert_count: u32(experts),
      expert_used_count: u32(config.num_experts_per_tok),
      expert_shared_count: u32(config.n_shared_experts),
      expert_feed_forward_length: u32(width),
      expert_weights_scale: f32(config.routed_scaling_factor),
      expert_weights_norm: bool(config.norm_topk_prob),
      expert_gating_func: u32(sigmoidGate),
    }),
  };
}

/** The tokens by their names. Texts are not encoded here, so the way to split them does not matter. */
function vocabulary(
  { vocab_size: size, bos_token_id: bos, eos_token_id: eos },
  { model, added_tokens: added },
) {
  const tokens = Array.from({ length: size }, (_, id) => `[unused${id}]`);
  const kinds = Array.from({ length: size }, () => normalToken);
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
  for (const { id, content } of added) {
    tokens[id] = content;
    kinds[id] = controlToken;
  }
  const merges = model.merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' ')));
  return {
    'tokenizer.ggml.model': string('gpt2'),
    'tokenizer.ggml.pre': string('deepseek-llm'),
    'tokenizer.ggml.tokens': array('string', tokens),
    'tokenizer.ggml.token_type': array('i32', kinds),
    'tokenizer.ggml.merges': array('string', merges),
    'tokenizer.ggml.bos_token_id': u32(bos),
    'tokenizer.ggml.eos_token_id': u32(eos),
  };
}
