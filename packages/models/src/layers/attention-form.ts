import type { AttentionConfig } from '../config/model-config.ts';
import type { AttentionForm } from './operations.ts';

/**
 * The form with fewer products for `count` new tokens behind `start` cached ones. Expanded, keys and
 * values of all tokens are made from the latents once; absorbed, every new token's queries are brought to
 * the latent space and its result back, and scores are of the latent's width.
 */
export function attentionForm(
  { kvLoraRank, nopeDim, ropeDim, vDim }: AttentionConfig,
  start: number,
  count: number,
): AttentionForm {
  const pairs = count * (start + (count + 1) / 2);
  const conversion = (nopeDim + vDim) * kvLoraRank;
  const expanded = (start + count) * conversion + pairs * (nopeDim + ropeDim + vDim);
  const absorbed = count * conversion + pairs * (2 * kvLoraRank + ropeDim);
  return expanded < absorbed ? 'expanded' : 'absorbed';
}
