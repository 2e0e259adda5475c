import { commonConfig, mlpKinds, moeConfig } from '../config/common-config.ts';
import type { Family } from './family.ts';

/** Softmax routing without a bias. Scores are not normalised over the chosen experts. */
export const deepseekV2: Family = {
  modelType: 'deepseek_v2',
  aliases: [],
  models: 'DeepSeek-V2, V2-Lite, Coder-V2',
  config(fields) {
    fields.choice('scoring_func', ['softmax'], 'softmax');
    // DeepSeek's code and transformers disagree on what true means, and no released model has it.
    if (fields.boolean('norm_topk_prob', false)) fields.fail('norm_topk_prob', 'false', 'true');
    const method = fields.choice('topk_method', ['greedy', 'group_limited_greedy'], 'greedy');
    return commonConfig('deepseek_v2', fields, {
      ropePairing: 'interleaved',
      tiedHead: false,
      mlpKinds: mlpKinds(fields),
      moe: () =>
        moeConfig(
          fields,
          { scores: 'softmax', biased: false, groupScore: 'best' },
          { grouped: method === 'group_limited_greedy', normalize: false },
        ),
    });
  },
};
