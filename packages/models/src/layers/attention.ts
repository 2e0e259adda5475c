import type { AttentionConfig } from '../config/model-config.ts';
import { attentionForm } from './attention-form.ts';
import type { Batch, Sequence } from './batch.ts';
import type { AttentionForm, Operations } from './operations.ts';
import type { Rotation } from './rotary.ts';
import type { AttentionWeights } from './weights.ts';

/** What a step hands to every layer. */
export interface Step {
  readonly batch: Batch;
  readonly rotation: Rotation;
}

/**
 * Multi-head latent attention (DeepSeek-V2, §2.1), up to the projection out of it: (rows, heads × v). The
 * cache holds one normed latent and one rotated key a token, for all heads.
 */
export function latentAttention<Matrix>(
  ops: Operations<Matrix>,
  config: AttentionConfig,
  weights: AttentionWeights<Matrix>,
  x: Matrix,
  cache: Matrix,
  { batch, rotation }: Step,
): Matrix {
  const { queryUp, latentNorm, keyValue } = weights;
  const { numHeads, qLoraRank, kvLoraRank, nopeDim, ropeDim, latentNormEps } = config;
  const width = qLoraRank ?? numHeads * (nopeDim + ropeDim);
  const projected = ops.linear(x, weights.input);
  const first = ops.columns(projected, 0, width);
  const queries =
    queryUp === undefined
      ? first
      : ops.linear(ops.rmsNorm(first, queryUp.norm, latentNormEps), queryUp.projection);
  const latents = ops.columns(projected, width, width + kvLoraRank + ropeDim);
  ops.writeLatents(cache, latents, latentNorm, rotation, batch.sequences, config);

  const out = ops.empty(batch.tokens.length, numHeads * config.vDim);
  for (const [form, sequences] of byForm(config, batch.sequences, ops.forms)) {
    ops.attend(form, { queries, rotation, keyValue, cache, sequences, config, out });
  }
  return out;
}

function byForm(
  config: AttentionConfig,
  sequences: readonly Sequence[],
  forms: readonly AttentionForm[],
): Map<AttentionForm, Sequence[]> {
  const groups = new Map<AttentionForm, Sequence[]>();
  for (const sequence of sequences) {
    const best = attentionForm(config, sequence.start, sequence.count);
    const form = forms.includes(best) ? best : 'absorbed';
    groups.set(form, [...(groups.get(form) ?? []), sequence]);
  }
  return groups;
}
