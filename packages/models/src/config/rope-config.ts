import type { JsonFields, Range } from './json-fields.ts';
import type { RopeConfig, RopeScaling } from './model-config.ts';

const positive: Range = { min: 1e-6, max: 1e12 };
const positions: Range = { min: 1, max: 2 ** 31 - 1 };

/**
 * Rotary embedding of a config.json: `rope_theta` and `rope_scaling`, or `rope_parameters` as
 * transformers 5 writes them. Throws ModelConfigError for scalings other than YaRN and longrope.
 */
export function ropeConfig(
  fields: JsonFields,
  options: { dim: number; maxPositions: number; pairing: RopeConfig['pairing'] },
): RopeConfig {
  const parameters = fields.has('rope_parameters') ? fields.object('rope_parameters') : undefined;
  const scaling =
    parameters ?? (fields.has('rope_scaling') ? fields.object('rope_scaling') : undefined);
  const source = parameters?.has('rope_theta') ? parameters : fields;
  const theta = source.number('rope_theta', { min: 1, max: 1e12 }, 10000);
  return { theta, pairing: options.pairing, scaling: scalingOf(fields, scaling, options) };
}

function scalingOf(
  config: JsonFields,
  fields: JsonFields | undefined,
  { dim, maxPositions }: { dim: number; maxPositions: number },
): RopeScaling {
  if (fields === undefined) return { kind: 'none' };
  const field = fields.has('rope_type') ? 'rope_type' : 'type';
  const kind = fields.choice(field, ['default', 'yarn', 'longrope'], 'default');
  if (kind === 'default') return { kind: 'none' };
  if (kind === 'yarn') return yarn(fields, maxPositions);
  // transformers keeps the original length beside the scaling or in it.
  const owner = config.has('original_max_position_embeddings') ? config : fields;
  const original = owner.integer('original_max_position_embeddings', positions, maxPositions);
  const ratio = maxPositions / original;
  const amplitude = ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(original));
  return {
    kind: 'longrope',
    originalMaxPositions: original,
    shortFactors: fields.numbers('short_factor', dim / 2, positive),
    longFactors: fields.numbers('long_factor', dim / 2, positive),
    amplitude: fields.number('attention_factor', positive, amplitude),
  };
}

function yarn(fields: JsonFields, maxPositions: number): RopeScaling {
  const factor = fields.number('factor', { min: 1, max: 1e6 });
  const mscale = fields.number('mscale', { min: 0, max: 1e3 }, 0);
  const mscaleAllDim = fields.number('mscale_all_dim', { min: 0, max: 1e3 }, 0);
  const relative =
    mscale > 0 && mscaleAllDim > 0
      ? magnitude(factor, mscale) / magnitude(factor, mscaleAllDim)
      : magnitude(factor, 1);
  return {
    kind: 'yarn',
    factor,
    originalMaxPositions: fields.integer(
      'original_max_position_embeddings',
      positions,
      maxPositions,
    ),
    betaFast: fields.number('beta_fast', positive, 32),
    betaSlow: fields.number('beta_slow', positive, 1),
    amplitude: fields.number('attention_factor', positive, relative),
    softmaxFactor: mscaleAllDim > 0 ? magnitude(factor, mscaleAllDim) ** 2 : 1,
  };
}

/** YaRN's magnitude correction (YaRN, Peng et al. 2023, eq. 22, with DeepSeek's `mscale`). */
function magnitude(factor: number, mscale: number): number {
  return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
}
