import { commonConfig, mlpKinds, moeConfig } from '../config/common-config.ts';
import type { Family } from './family.ts';

/** Sigmoid routing: a bias takes part in the choice of experts, not in their weights. */
export const deepseekV3: Family = {
  modelType: 'deepseek_v3',
  aliases: ['kimi_k2'],
  models: 'DeepSeek-V3, R1, V3.1, Moonlight-16B-A3B, Kimi K2',
  config(fields) {
    fields.choice('scoring_func', ['sigmoid'], 'sigmoid');
    fields.choice('topk_method', ['noaux_tc'], 'noaux_tc');
    if (!fields.boolean('rope_interleave', true)) fields.fail('rope_interleave', 'true', 'false');
    return commonConfig('deepseek_v3', fields, {
      ropePairing: 'interleaved',
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
