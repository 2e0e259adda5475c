import type { RopeConfig } from '../config/model-config.ts';

/** cos and sin of every pair's angle, for each row of a batch. */
export interface Rotation {
  /** (rows, pairs) */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly pairs: number;
  /** Which two of the values are a pair: neighbours, or the same place in both halves. */
  readonly pairing: RopeConfig['pairing'];
}

/** Angles of rotary embedding (RoFormer, Su et al. 2021), with the scaling that a model was trained with. */
export class Rotary {
  /** Angle per position of each pair. */
  readonly frequencies: Float64Array;
  readonly #pairing: RopeConfig['pairing'];
  readonly #amplitude: number;

  /**
   * @param dim how many values are rotated.
   * @param maxPositions the longest context: longrope has other factors beyond the original one.
   */
  constructor(config: RopeConfig, dim: number, maxPositions: number) {
    this.frequencies = frequenciesOf(config, dim, maxPositions);
    this.#pairing = config.pairing;
    this.#amplitude = config.scaling.kind === 'none' ? 1 : config.scaling.amplitude;
  }

  at(positions: Int32Array): Rotation {
    const pairs = this.frequencies.length;
    const cos = new Float32Array(positions.length * pairs);
    const sin = new Float32Array(cos.length);
    for (const [row, position] of positions.entries()) {
      for (const [i, frequency] of this.frequencies.entries()) {
        cos[row * pairs + i] = Math.cos(position * frequency) * this.#amplitude;
        sin[row * pairs + i] = Math.sin(position * frequency) * this.#amplitude;
      }
    }
    return { cos, sin, pairs, pairing: this.#pairing };
  }
}

function frequenciesOf(
  { theta, scaling }: RopeConfig,
  dim: number,
  maxPositions: number,
): Float64Array {
  const plain = Float64Array.from({ length: dim / 2 }, (_, i) => theta ** ((-2 * i) / dim));
  if (scaling.kind === 'none') return plain;
  if (scaling.kind === 'longrope') {
    const isLong = maxPositions > scaling.originalMaxPositions;
    const factors = isLong ? scaling.longFactors : scaling.shortFactors;
    return plain.map((frequency, i) => frequency / (factors[i] ?? 1));
  }
  // YaRN: what turns often within the original context stays, what turns less than once is stretched.
  const { factor, originalMaxPositions, betaFast, betaSlow } = scaling;
  const pairOf = (turns: number) =>
    (dim * Math.log(originalMaxPositions / (2 * Math.PI * turns))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(pairOf(betaFast)), 0);
  let high = Math.min(Math.ceil(pairOf(betaSlow)), dim - 1);
  if (low === high) high += 0.001;
  return plain.map((frequency, i) => {
    const stretched = Math.min(Math.max((i - low) / (high - low), 0), 1);
    return (frequency / factor) * stretched + frequency * (1 - stretched);
  });
}
