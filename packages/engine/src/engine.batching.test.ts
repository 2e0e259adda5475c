import { describe, expect, it } from 'vitest';
import type { EngineOptions } from './options.ts';
import { SimulatedLoad } from './testing/simulated-load.ts';

const options: EngineOptions = { totalPages: 2000, maxModelLength: 60_000 };
const prompt = (length: number, first = 0) =>
  Array.from({ length }, (_, i) => (first + i * 7 + (i >> 6)) % 50);

describe.each([true, false])('batching (overlap %s)', (overlap) => {
  it('decodes in every step while long prompts are computed, in steps of the target time', async () => {
    const load = new SimulatedLoad({ ...options, overlap, targetStepMs: 60 });
    load.submit({ id: 'chat', prompt: prompt(100), maxTokens: 200 });
    for (const [i, at] of [400, 500, 2500].entries())
      load.time.at(at, () =>
        load.submit({ id: `long${i}`, prompt: prompt(9000, i), maxTokens: 1 }),
      );
    await load.run();

    const { times } = load.of('chat');
    expect(times).toHaveLength(200);
    const isChat = ({ slot }: { slot: number }) => slot === load.runner.plans[0]?.starts[0]?.slot;
    const first = load.runner.plans.findIndex(({ decodes }) => decodes.some(isChat));
    for (const { decodes } of load.runner.plans.slice(first, first + 199))
      expect(decodes.some(isChat)).toBe(true);
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(120);

    const mixed = load.runner.plans.filter((p) => p.decodes.length > 0 && p.prefills.length > 0);
    expect(mixed.length).toBeGreaterThan(10);
    const durations = mixed.slice(5, -1).map((plan) => load.runner.durationOf(plan));
    const mean = durations.reduce((sum, ms) => sum + ms, 0) / durations.length;
    expect(mean).toBeGreaterThan(45);
    expect(mean).toBeLessThan(66);
  });

  it('lets short prompts pass a long one, which still moves on', async () => {
    const load = new SimulatedLoad({ ...options, overlap });
    load.submit({ id: 'long', prompt: prompt(20_000), maxTokens: 1 });
    load.submit({ id: 'long2', prompt: prompt(20_000, 9), maxTokens: 1 });
    load.time.at(200, () => {
      for (let i = 0; i < 8; i++)
        load.submit({ id: `short${i}`, prompt: prompt(60, i), maxTokens: 1 });
    });
    await load.run();
    const firstAt = (id: string) => load.of(id).times[0] ?? Number.NaN;
    expect(firstAt('short7')).toBeLessThan(500);
    expect(firstAt('long')).toBeLessThan(firstAt('long2'));
    for (const { prefills, decodes } of load.runner.plans.slice(0, 10))
      expect(prefills.length + decodes.length).toBeGreaterThan(0);
  });

  it('takes whole pages of a known prefix, never the last token', async () => {
    const load = new SimulatedLoad({ ...options, overlap });
    const cases = [
      { length: 64, cached: 0 },
      { length: 65, cached: 64 },
      { length: 128, cached: 64 },
      { length: 200, cached: 192 },
    ];
    for (const { length, cached } of cases) {
      const submit = (id: string) =>
        load.submit({ id, prompt: prompt(length, length), maxTokens: 1 });
      submit(`first${length}`);
      await load.run();
      const plans = load.runner.plans.length;
      submit(`second${length}`);
      await load.run();
      const chunks = load.runner.plans.slice(plans).flatMap(({ prefills }) => prefills);
      expect(chunks.map(({ start, tokens }) => [start, tokens.length])).toEqual([
        [cached, length - cached],
      ]);
      expect(load.of(`second${length}`).tokens).toEqual(load.of(`first${length}`).tokens);
    }
  });

  it('finds what a request has generated when the conversation goes on', async () => {
    const load = new SimulatedLoad({ ...options, overlap });
    load.submit({ id: 'one', prompt: prompt(100), maxTokens: 100 });
    await load.run();
    const history = [...prompt(100), ...load.of('one').tokens];
    load.submit({ id: 'two', prompt: [...history, 1, 2, 3], maxTokens: 1 });
    await load.run();
    expect(load.engine.stats.prefixCacheHits).toBe(192);
  });

  it('shares nothing between different salts', async () => {
    const load = new SimulatedLoad({ ...options, overlap });
    for (const [id, cacheSalt] of [
      ['none', undefined],
      ['a', 'a'],
      ['b', 'b'],
    ] as const) {
      load.submit({ id, prompt: prompt(300), maxTokens: 1, ...(cacheSalt ? { cacheSalt } : {}) });
      await load.run();
    }
    expect(load.engine.stats.prefixCacheHits).toBe(0);
  });

  it.each([true, false])('computes the prompt of n choices once (prefix cache %s)', async (on) => {
    const load = new SimulatedLoad({ ...options, overlap, prefixCache: on });
    const sampling = { temperature: 1, seed: 5 };
    load.submit({ id: 'n', prompt: prompt(1000), n: 4, maxTokens: 20, sampling });
    await load.run();
    const computed = load.runner.plans
      .flatMap(({ prefills }) => prefills)
      .reduce((sum, chunk) => sum + chunk.tokens.length, 0);
    expect(computed).toBe(1000 + 3 * (1000 - 960));
    const texts = [0, 1, 2, 3].map((index) => load.of('n', index).tokens.join());
    expect(new Set(texts).size).toBe(4);

    load.submit({ id: 'again', prompt: prompt(1000), maxTokens: 1 });
    await load.run();
    expect(load.engine.stats.prefixCacheHits).toBe(3 * 960 + (on ? 960 : 0));
  });

  it('computes a prefix once that several wait for', async () => {
    const load = new SimulatedLoad({ ...options, overlap });
    for (let i = 0; i < 5; i++)
      load.submit({ id: `r${i}`, prompt: [...prompt(640), i], maxTokens: 1 });
    await load.run();
    expect(load.engine.stats.prefixCacheHits).toBe(4 * 640);
  });

  it('cuts prompts at the same places in any batch when it is deterministic', async () => {
    const chunksOf = async (others: number) => {
      const load = new SimulatedLoad({ ...options, overlap, deterministic: true });
      for (let i = 0; i < others; i++)
        load.submit({ id: `other${i}`, prompt: prompt(700 + 90 * i, i + 1), maxTokens: 30 });
      load.submit({ id: 'it', prompt: prompt(3000), maxTokens: 1 });
      await load.run();
      let slot = -1;
      return load.runner.plans.flatMap(({ starts, prefills }) => {
        slot = starts.find(({ id }) => id === 'it')?.slot ?? slot;
        const mine = prefills.filter((chunk) => chunk.slot === slot && chunk.start < 3000);
        return mine.map(({ start, tokens }) => `${start}+${tokens.length}`);
      });
    };
    const alone = await chunksOf(0);
    expect(alone).toEqual(['0+512', '512+512', '1024+512', '1536+512', '2048+512', '2560+440']);
    expect((await chunksOf(9)).slice(0, 6)).toEqual(alone);
  });

  it('shares whole chunks only when it is deterministic, as prompts have filled them', async () => {
    const load = new SimulatedLoad({ ...options, overlap, deterministic: true });
    const hitsOf = async (id: string, tokens: readonly number[], maxTokens = 1) => {
      const before = load.engine.stats.prefixCacheHits;
      load.submit({ id, prompt: tokens, maxTokens });
      await load.run();
      return load.engine.stats.prefixCacheHits - before;
    };
    // What this one generates fills the second chunk, but in steps of one token.
    expect(await hitsOf('first', prompt(900), 300)).toBe(0);
    const said = load.of('first').tokens;
    expect(await hitsOf('turn', [...prompt(900), ...said, 1])).toBe(512);
    expect(await hitsOf('turn again', [...prompt(900), ...said, 1])).toBe(1024);
    expect(await hitsOf('short', prompt(512))).toBe(0);
    expect(await hitsOf('part', prompt(900))).toBe(512);
  });
});

it('generates the same with overlap and without', async () => {
  const run = async (overlap: boolean) => {
    const load = new SimulatedLoad({ totalPages: 30, pageSize: 8, maxModelLength: 200, overlap });
    for (let i = 0; i < 20; i++) {
      const sampling = { temperature: 1, seed: i };
      load.time.at(13 * i, () => {
        load.submit({ id: `r${i}`, prompt: prompt(5 + 3 * i, i), maxTokens: 40, sampling });
      });
    }
    await load.run();
    return Array.from({ length: 20 }, (_, i) => load.of(`r${i}`).tokens);
  };
  expect(await run(true)).toEqual(await run(false));
});
