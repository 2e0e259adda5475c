import { commonConfig } from '../config/common-config.ts';
import type { Range } from '../config/json-fields.ts';
import type { Family } from './family.ts';

const factor: Range = { min: 1e-6, max: 1e6 };

/** Dense layers with scaled embeddings, residual branches and head; rotary pairs are of halves. */
export const minicpm3: Family = {
  modelType: 'minicpm3',
  aliases: [],
  models: 'MiniCPM3-4B',
  config(fields) {
    const layers = fields.integer('num_hidden_layers', { min: 1, max: 1024 });
    const hidden = fields.integer('hidden_size', { min: 1, max: 2 ** 20 });
    return commonConfig('minicpm3', fields, {
      ropePairing: 'halves',
      tiedHead: true,
      scales: {
        embedding: fields.number('scale_emb', factor),
        residual: fields.number('scale_depth', factor) / Math.sqrt(layers),
        head: fields.number('dim_model_base', factor) / hidden,
      },
    });
  },
};
