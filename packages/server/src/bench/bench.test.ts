import { describe, expect, it } from 'vitest';
import { serve } from '../testing/serve.ts';
import { benchServer } from './bench-server.ts';
import { loadKinds, makeLoad, poissonArrivals } from './load.ts';
import { percentile, summarize } from './summary.ts';

const size = { requests: 10, promptTokens: 100, outputTokens: 8, seed: 1 };
const objective = { firstToken: 1e6, interToken: 1e6 };

describe('makeLoad', () => {
  const vocabulary = Array.from({ length: 50 }, (_, i) => i);
  it('makes the same prompts each time, as many and as long as asked for', () => {
    for (const kind of loadKinds) {
      const load = makeLoad({ ...size, kind }, vocabulary);
      expect(load).toEqual(makeLoad({ ...size, kind }, vocabulary));
      expect(load.flat()).toHaveLength(10);
      if (kind !== 'multi-turn') for (const prompt of load.flat()) expect(prompt).toHaveLength(100);
    }
  });
  it('shares prefixes within groups, and turns begin with the turn before', () => {
    const shared = makeLoad({ ...size, kind: 'shared-prefix' }, vocabulary).flat();
    expect(shared[7]?.slice(0, 80)).toEqual(shared[0]?.slice(0, 80));
    expect(shared[8]?.slice(0, 80)).not.toEqual(shared[0]?.slice(0, 80));
    expect(shared[1]?.slice(80)).not.toEqual(shared[0]?.slice(80));
    const [first = []] = makeLoad({ ...size, kind: 'multi-turn' }, vocabulary);
    expect(first).toHaveLength(4);
    expect(first[1]?.slice(0, 25)).toEqual(first[0]);
    expect(first[1]).toHaveLength(25 + 8 + 25);
  });
});

it('poissonArrivals come at the rate, or at once', () => {
  const arrivals = poissonArrivals(2000, 10, 3);
  expect(arrivals.at(-1)).toBeGreaterThan(170e3);
  expect(arrivals.at(-1)).toBeLessThan(230e3);
  expect(poissonArrivals(3, Number.POSITIVE_INFINITY, 3)).toEqual([0, 0, 0]);
});

it('summarize counts what was good', () => {
  expect(percentile([3, 1, 2], 0.5)).toBe(2);
  expect(percentile([], 0.5)).toBe(0);
  const base = { promptTokens: 10, cachedTokens: 4, outputTokens: 3, endToEnd: 50 };
  const summary = summarize(
    [
      { ...base, firstToken: 10, gaps: [5, 5] },
      { ...base, firstToken: 90, gaps: [5, 5] },
      { ...base, firstToken: 10, gaps: [], error: 'HTTP 429' },
    ],
    2,
    { firstToken: 50, interToken: 10 },
  );
  expect(summary).toMatchObject({
    completed: 2,
    failed: 1,
    errors: { 'HTTP 429': 1 },
    outputTokens: 6,
    outputTokensPerSecond: 3,
    timeToFirstToken: { p50: 10, p99: 90 },
    goodput: { perSecond: 0.5, share: 1 / 3 },
  });
});

describe('benchServer', () => {
  it.each(loadKinds)('measures a load: %s', async (kind) => {
    const served = await serve({ apiKeys: ['key'] });
    let done = 0;
    const summary = await benchServer({
      ...size,
      kind,
      url: served.url,
      apiKey: 'key',
      rate: Number.POSITIVE_INFINITY,
      objective,
      onProgress: (count) => {
        done = count;
      },
    });
    expect(summary).toMatchObject({
      completed: 10,
      failed: 0,
      outputTokens: 80,
      goodput: { share: 1 },
    });
    expect(done).toBe(10);
    expect(summary.timeToFirstToken.p50).toBeGreaterThan(0);
    if (kind !== 'fixed') expect(summary.cachedTokens).toBeGreaterThan(0);
  });

  it('says what is no server, and counts failures', async () => {
    const served = await serve({}, { maxRunning: 1, maxQueuedRequests: 1 });
    served.runner.stepMs = 3;
    const options = { ...size, kind: 'fixed' as const, rate: Number.POSITIVE_INFINITY, objective };
    const { errors, failed } = await benchServer({ ...options, url: served.url });
    expect(failed).toBeGreaterThan(0);
    expect(errors['HTTP 429']).toBe(failed);
    await expect(benchServer({ ...options, url: `${served.url}/x` })).rejects.toThrow(/404/);
  });
});
