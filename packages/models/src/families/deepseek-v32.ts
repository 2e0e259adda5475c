import { commonConfig, mlpKinds, moeConfig } from '../config/common-config.ts';
import { indexerConfig } from '../config/indexer-config.ts';
import type { Family } from './family.ts';

/** DeepSeek V3 with an indexer in each layer, which rotates halves. */
export const deepseekV32: Family = {
  modelType: 'deepseek_v32',
  aliases: [],
  models: 'DeepSeek-V3.2-Exp, V3.2',
  config(fields) {
    fields.choice('scoring_func', ['sigmoid'], 'sigmoid');
    fields.choice('topk_method', ['noaux_tc'], 'noaux_tc');
    if (!fields.boolean('rope_interleave', true)) fields.fail('rope_interleave', 'true', 'false');
    return commonConfig('deepseek_v32', fields, {
      ropePairing: 'interleaved',
      tiedHead: false,
      mlpKinds: mlpKinds(fields),
      indexer: indexerConfig(
        fields,
        fields.boolean('indexer_rope_interleave', false) ? 'interleaved' : 'halves',
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
