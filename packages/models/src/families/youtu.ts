import { commonConfig } from '../config/common-config.ts';
import type { Family } from './family.ts';

/** DeepSeek V3's attention over dense layers; the published model ties its head to the embedding. */
export const youtu: Family = {
  modelType: 'youtu',
  aliases: ['youtu_llm'],
  models: 'Youtu-LLM-2B',
  config(fields) {
    if (!fields.boolean('rope_interleave', true)) fields.fail('rope_interleave', 'true', 'false');
    return commonConfig('youtu', fields, { ropePairing: 'interleaved', tiedHead: true });
  },
};
