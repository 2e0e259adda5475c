import { commonConfig, mlpKinds, moeConfig } from '../config/common-config.ts';
import { indexerConfig } from '../config/indexer-config.ts';
import type { Family } from './family.ts';

/** GLM-5: an indexer that rotates neighbours; in GLM-5.2 some layers share the choice of another one. */
export const glmMoeDsa: Family = {
  modelType: 'glm_moe_dsa',
  aliases: [],
  models: 'GLM-5, 5.1, 5.2',
  config(fields) {
    fields.choice('scoring_func', ['sigmoid'], 'sigmoid');
    fields.choice('topk_method', ['noaux_tc'], 'noaux_tc');
    if (!fields.boolean('rope_interleave', true)) fields.fail('rope_interleave', 'true', 'false');
    return commonConfig('glm_moe_dsa', fields, {
      ropePairing: 'interleaved',
      latentNormEps: fields.number('rms_norm_eps', { min: 0, max: 1 }, 1e-5),
      tiedHead: false,
      mlpKinds: mlpKinds(fields),
      indexer: indexerConfig(
        fields,
        fields.boolean('indexer_rope_interleave', true) ? 'interleaved' : 'halves',
      ),
      moe: () =>
        moeConfig(
          fields,
          { scores: 'sigmoid', biased: true, groupScore: 'two-best' },
          { grouped: true, normalize: fields.boolean('norm_topk_prob', true) },
        ),
    });
  },
};
