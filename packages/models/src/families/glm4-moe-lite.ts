import { commonConfig, mlpKinds, moeConfig } from '../config/common-config.ts';
import type { Family } from './family.ts';

/** DeepSeek V3's layers with wider value heads; the latent norms use the model's own eps. */
export const glm4MoeLite: Family = {
  modelType: 'glm4_moe_lite',
  aliases: [],
  models: 'GLM-4.7-Flash',
  config(fields) {
    fields.choice('topk_method', ['noaux_tc'], 'noaux_tc');
    if (!fields.boolean('rope_interleave', true)) fields.fail('rope_interleave', 'true', 'false');
    return commonConfig('glm4_moe_lite', fields, {
      ropePairing: 'interleaved',
      latentNormEps: fields.number('rms_norm_eps', { min: 0, max: 1 }, 1e-5),
      tiedHead: false,
      mlpKinds: mlpKinds(fields),
      moe: () =>
        moeConfig(
          fields,
          { scores: 'sigmoid', biased: true, groupScore: 'two-best' },
          { grouped: true, normalize: fields.boolean('norm_topk_prob', true) },
        ),
    });
  },
};
