import { describe, expect, it } from 'vitest';
import type { RopeScaling } from '../config/model-config.ts';
import { rotate } from '../plain/elementwise.ts';
import { Rotary } from './rotary.ts';

const yarn: RopeScaling = {
  kind: 'yarn',
  factor: 40,
  originalMaxPositions: 4096,
  betaFast: 32,
  betaSlow: 1,
  amplitude: 1,
  softmaxFactor: 1.873854,
};
const rotary = (scaling: RopeScaling, dim = 64, maxPositions = 4096, theta = 1e4) =>
  new Rotary({ theta, pairing: 'interleaved', scaling }, dim, maxPositions);

describe('Rotary', () => {
  it('stretches only the slow pairs, as YaRN says', () => {
    const plain = rotary({ kind: 'none' }).frequencies;
    const { frequencies } = rotary(yarn);
    // DeepSeek V3: pairs up to 10 stay, from 23 on they are 40 times as slow.
    expect(frequencies[10]).toBe(plain[10]);
    expect(frequencies[23]).toBeCloseTo((plain[23] as number) / 40, 15);
    const middle = ((plain[16] as number) / 40) * (6 / 13) + (plain[16] as number) * (7 / 13);
    expect(frequencies[16]).toBeCloseTo(middle, 15);
  });

  it('is almost a step where both betas are 1 (Kimi K2)', () => {
    const step = { ...yarn, factor: 32, betaFast: 1 };
    const { frequencies } = rotary(step, 64, 131072, 5e4);
    const plain = rotary({ kind: 'none' }, 64, 1, 5e4).frequencies;
    expect(frequencies[19]).toBe(plain[19]);
    expect(frequencies[20]).toBeCloseTo((plain[20] as number) / 32, 15);
  });

  it('takes the factors of longrope by the longest context', () => {
    const scaling: RopeScaling = {
      kind: 'longrope',
      originalMaxPositions: 100,
      shortFactors: [1, 2],
      longFactors: [4, 8],
      amplitude: 1.5,
    };
    expect([...rotary(scaling, 4, 100).frequencies]).toEqual([1, 0.005]);
    expect([...rotary(scaling, 4, 101).frequencies]).toEqual([0.25, 0.00125]);
    expect(rotary(scaling, 4).at(Int32Array.of(0)).cos[0]).toBe(1.5);
  });

  it('turns neighbours, or the same places of both halves', () => {
    const angles = rotary({ kind: 'none' }, 4).at(Int32Array.of(7));
    const [c0 = 0, c1 = 0] = angles.cos;
    const [s0 = 0, s1 = 0] = angles.sin;
    const turned = (pairing: 'interleaved' | 'halves') => {
      const x = Float32Array.of(1, 2, 3, 4);
      rotate(x, 0, { ...angles, pairing }, 0);
      return x;
    };
    const near = (values: number[]) => values.map((value) => expect.closeTo(value, 5));
    expect([...turned('interleaved')]).toEqual(
      near([c0 - 2 * s0, s0 + 2 * c0, 3 * c1 - 4 * s1, 3 * s1 + 4 * c1]),
    );
    expect([...turned('halves')]).toEqual(
      near([c0 - 3 * s0, 2 * c1 - 4 * s1, s0 + 3 * c0, 2 * s1 + 4 * c1]),
    );
  });
});
