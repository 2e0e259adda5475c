import { describe, expect, it } from 'vitest';
import type { SlotStart } from '../runner/model-runner.ts';
import type { SamplingParams } from '../runner/sampling-params.ts';
import { randomAt } from './random-number.ts';
import { Sampler } from './sampler.ts';

const start = (sampling: SamplingParams, more: Partial<SlotStart> = {}): SlotStart => ({
  slot: 0,
  epoch: 0,
  id: 'x',
  index: 0,
  tokens: [],
  promptLength: 0,
  sampling,
  ...more,
});
const sampler = (sampling: SamplingParams, more?: Partial<SlotStart>) =>
  new Sampler(start(sampling, more));

/** How often each token is drawn from the same logits. */
function draw(logits: readonly number[], sampling: SamplingParams, times = 4000): number[] {
  const counts = logits.map(() => 0);
  for (let seed = 0; seed < times; seed++) {
    const { token } = sampler({ ...sampling, seed }).sample(logits, 5);
    counts[token] = (counts[token] ?? 0) + 1;
  }
  return counts.map((count) => count / times);
}
const logits = [0.5, 0.3, 0.15, 0.05].map(Math.log);

describe('randomAt', () => {
  it('gives the values of the published Philox 4x32-10', () => {
    // Known answers of the authors for a counter and a key of zeros: 6627e8d5 e169c58d …
    const [c0, c1] = [0x6627e8d5, 0xe169c58d];
    expect(randomAt(0, 0)).toBe(((c0 >>> 5) * 2 ** 26 + (c1 >>> 6)) / 2 ** 53);
  });

  it('is even, and depends on seed and position', () => {
    const numbers = Array.from({ length: 10_000 }, (_, i) =>
      randomAt(i % 100, Math.floor(i / 100)),
    );
    expect(new Set(numbers).size).toBe(10_000);
    expect(numbers.reduce((sum, x) => sum + x) / 10_000).toBeCloseTo(0.5, 1);
    expect(numbers.every((x) => x >= 0 && x < 1)).toBe(true);
  });
});

describe('Sampler', () => {
  it('draws as often as the probabilities say', () => {
    const rates = draw(logits, { temperature: 1 });
    for (const [i, p] of [0.5, 0.3, 0.15, 0.05].entries()) expect(rates[i]).toBeCloseTo(p, 1);
    expect(draw(logits, { temperature: 0 })).toEqual([1, 0, 0, 0]);
    expect(draw(logits, { temperature: 0.05 })[0]).toBeGreaterThan(0.99);
  });

  it('cuts by top k, top p and min p', () => {
    const used = (sampling: Omit<SamplingParams, 'temperature'>) =>
      draw(logits, { temperature: 1, ...sampling }).filter((rate) => rate > 0).length;
    expect(used({ topK: 2 })).toBe(2);
    expect(used({ topP: 0.79 })).toBe(2);
    expect(used({ topP: 0.81 })).toBe(3);
    expect(used({ topP: 0 })).toBe(1);
    expect(used({ minP: 0.2 })).toBe(3);
    expect(used({ minP: 1 })).toBe(1);
  });

  it('allows only what it may: bias, lists, masks, stop tokens that are too early', () => {
    const greedy = { temperature: 0 };
    const first = (sampling: Partial<SamplingParams>, mask?: Int32Array) =>
      sampler({ ...greedy, ...sampling }).sample(logits, 5, mask).token;
    expect(first({ logitBias: [[3, 100]] })).toBe(3);
    expect(first({ logitBias: [[0, -100]] })).toBe(1);
    expect(first({ allowedTokens: [2, 3] })).toBe(2);
    expect(first({}, Int32Array.of(0b1010))).toBe(1);
    const early = sampler(greedy, { suppressed: { tokens: [0], before: 6 } });
    expect(early.sample(logits, 5).token).toBe(1);
    expect(early.sample(logits, 6).token).toBe(0);
  });

  it('penalizes tokens of the sequence, and generated ones', () => {
    const after = (sampling: Partial<SamplingParams>, tokens: number[], promptLength: number) =>
      sampler({ temperature: 0, ...sampling }, { tokens, promptLength }).sample([2, 1.5, 1, 0], 9)
        .token;
    expect(after({ repetitionPenalty: 1.5 }, [0], 1)).toBe(1);
    expect(after({ presencePenalty: 0.6 }, [0], 1)).toBe(0);
    expect(after({ presencePenalty: 0.6 }, [0], 0)).toBe(1);
    expect(after({ frequencyPenalty: 0.4 }, [0], 0)).toBe(0);
    expect(after({ frequencyPenalty: 0.4 }, [0, 0], 0)).toBe(1);
    const row = sampler({ temperature: 0, presencePenalty: 0.6 });
    expect([0, 1, 2].map((i) => row.sample([2, 1.5, 1], i).token)).toEqual([0, 1, 0]);
  });

  it('reports log-probabilities of the model, not of what the parameters make of it', () => {
    const { token, logprobs } = sampler({
      temperature: 0,
      logprobs: 2,
      logitBias: [[3, 100]],
    }).sample(logits, 0);
    expect(token).toBe(3);
    expect(logprobs?.logprob).toBeCloseTo(Math.log(0.05));
    expect(logprobs?.top.map(({ token }) => token)).toEqual([0, 1]);
    expect(logprobs?.top[0]?.logprob).toBeCloseTo(Math.log(0.5));
  });
});
