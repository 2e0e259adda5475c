import { describe, expect, it } from 'vitest';
import type { BatchPlan } from '../runner/model-runner.ts';
import { Random } from '../testing/random.ts';
import { CostModel } from './cost-model.ts';
import { FairShare } from './fair-share.ts';
import { shareTokens } from './prefill-chunks.ts';

describe('shareTokens', () => {
  it('gives equal parts, and what short prompts leave to the longer ones', () => {
    const share = (remaining: number[], budget: number) =>
      shareTokens(
        remaining.map((r) => ({ start: 0, remaining: r })),
        budget,
        64,
      );
    expect(share([1000, 1000], 512)).toEqual([256, 256]);
    expect(share([1000, 10], 512)).toEqual([448, 10]);
    expect(share([30, 1000, 20], 64)).toEqual([30, 0, 20]);
    expect(share([500], 512)).toEqual([500]);
    expect(share([5000], 64)).toEqual([64]);
  });

  it('keeps to the budget and to page borders, and always moves somebody on', () => {
    const random = new Random(3);
    for (let i = 0; i < 500; i++) {
      const length = random.integer(1, 5);
      const prompts = Array.from({ length }, () => ({
        start: 0,
        remaining: random.integer(1, 400),
      }));
      const budget = random.integer(16, 600);
      const lengths = shareTokens(prompts, budget, 16);
      const sum = lengths.reduce((total, l) => total + l, 0);
      expect(sum).toBeLessThanOrEqual(budget);
      expect(sum).toBeGreaterThan(0);
      for (const [j, l] of lengths.entries())
        expect(l === prompts[j]?.remaining || l % 16 === 0).toBe(true);
    }
  });
});

describe('CostModel', () => {
  const plan = (numDecodes: number, tokens: number, start = 0): BatchPlan => ({
    step: 1,
    deterministic: false,
    starts: [],
    numDecodeRows: numDecodes,
    decodes: Array.from({ length: numDecodes }, (_, slot) => ({
      slot,
      epoch: 0,
      position: 9,
      token: 1,
      pages: [],
    })),
    prefills:
      tokens === 0
        ? []
        : [{ slot: 99, epoch: 0, start, tokens: Array(tokens).fill(1), pages: [], samples: false }],
  });

  it('learns what fits beside the decodes, by the length of the context', () => {
    const cost = new CostModel();
    for (let i = 0; i < 20; i++) {
      cost.observe(plan(8, 0), 20);
      cost.observe(plan(8, 100), 30);
      cost.observe(plan(8, 100, 50_000), 60);
    }
    expect(cost.prefillTokens(60, 8, 0)).toBeCloseTo(400);
    expect(cost.prefillTokens(60, 8, 50_000)).toBeCloseTo(100);
    expect(cost.prefillTokens(60, 0, 0)).toBeCloseTo(600);
    expect(cost.prefillTokens(10, 8, 0)).toBe(0);
  });

  it('forgets a first step that compiled, and learns nothing from nonsense', () => {
    const cost = new CostModel();
    cost.observe(plan(0, 64), 5000);
    for (let i = 0; i < 30; i++) cost.observe(plan(0, 64), 6.4);
    expect(cost.prefillTokens(60, 0, 0)).toBeGreaterThan(550);
    for (const nonsense of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      cost.observe(plan(0, 64), nonsense);
    expect(cost.prefillTokens(60, 0, 0)).toBeGreaterThan(550);
  });
});

describe('FairShare', () => {
  it('lets nobody save up shares, and does not grow for ever', () => {
    const shares = new FairShare();
    shares.enter('busy');
    shares.charge('busy', { prompt: 100, output: 10 });
    expect(shares.served('busy')).toBe(120);
    shares.enter('new');
    expect(shares.served('new')).toBe(120);
    shares.leave('new');
    shares.leave('busy');
    for (let i = 0; i < 20_000; i++) {
      shares.enter(`t${i}`);
      shares.leave(`t${i}`);
    }
    expect(shares.numActive).toBe(0);
    expect(shares.numRemembered).toBeLessThan(9000);
  });
});
