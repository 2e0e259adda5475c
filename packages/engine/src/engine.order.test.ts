import { describe, expect, it } from 'vitest';
import type { EngineOptions } from './options.ts';
import { SimulatedLoad } from './testing/simulated-load.ts';

const pageSize = 8;
const options: EngineOptions = { totalPages: 400, pageSize, maxModelLength: 400, targetStepMs: 10 };
const prompt = (length: number, first: number) =>
  Array.from({ length }, (_, i) => (first * 11 + i * 3 + (i >> 3)) % 50);

/** The order in which requests first entered the batch. */
const started = (load: SimulatedLoad) =>
  load.runner.plans.flatMap(({ starts }) => starts.map(({ id }) => id));

describe('the order of requests', () => {
  it('goes by priority, lower first, then by arrival', async () => {
    const load = new SimulatedLoad({ ...options, maxRunning: 1 });
    for (const [id, priority] of [
      ['a', 0],
      ['b', 3],
      ['c', -2],
      ['d', 0],
      ['e', -2],
    ] as const)
      load.submit({ id, priority, prompt: prompt(9, 1), maxTokens: 3 });
    await load.run();
    expect(started(load)).toEqual(['c', 'e', 'a', 'd', 'b']);
  });

  it('improves while a request waits, so that a stream of better ones does not starve it', async () => {
    const load = new SimulatedLoad({ ...options, maxRunning: 1, agingMs: 100 });
    load.time.at(20, () => {
      load.submit({ id: 'low', priority: 5, prompt: prompt(9, 1), maxTokens: 3 });
    });
    for (let i = 0; i < 100; i++)
      load.time.at(i * 15, () => load.submit({ id: `h${i}`, prompt: prompt(9, i), maxTokens: 3 }));
    await load.run();
    const place = started(load).indexOf('low');
    expect(place).toBeGreaterThan(5);
    expect(place).toBeLessThan(60);
  });

  it('completes a low priority among urgent ones once it has waited, and does not swap for ever', async () => {
    const load = new SimulatedLoad({ ...options, maxRunning: 1, agingMs: 20, preemptionGap: 10 });
    load.submit({ id: 'low', priority: 30, prompt: prompt(30, 1), maxTokens: 60 });
    for (let i = 0; i < 150; i++)
      load.time.at(1 + i * 15, () => {
        load.submit({ id: `h${i}`, prompt: prompt(9, i), maxTokens: 3 });
      });
    await load.run();
    const low = load.of('low');
    expect(low.tokens).toHaveLength(60);
    // The first urgent one preempts it; later its age protects it.
    expect(load.engine.stats.preemptions).toBeGreaterThan(0);
    expect(load.engine.stats.preemptions).toBeLessThan(5);
    expect(low.times.at(-1)).toBeLessThan(load.of('h149').times.at(-1) ?? 0);
  });

  it('gives tenants equal shares, however many requests they send', async () => {
    const load = new SimulatedLoad({ ...options, maxRunning: 4 });
    for (let i = 0; i < 40; i++)
      load.submit({ id: `many${i}`, tenant: 'many', prompt: prompt(30, i), maxTokens: 20 });
    for (let i = 0; i < 10; i++)
      load.submit({ id: `few${i}`, tenant: 'few', prompt: prompt(30, 50 + i), maxTokens: 20 });
    await load.run();
    // Half of the first twenty are the small tenant's, though it came after forty others.
    const few = started(load)
      .slice(0, 20)
      .filter((id) => id.startsWith('few'));
    expect(few.length).toBeGreaterThanOrEqual(8);
    expect(few.length).toBeLessThanOrEqual(10);
  });

  it('lets one that is far more urgent preempt another, and one that is little more not', async () => {
    for (const [priority, preemptions] of [
      [-10, 1],
      [-9, 0],
    ] as const) {
      const load = new SimulatedLoad({ ...options, maxRunning: 1 });
      load.submit({ id: 'normal', prompt: prompt(30, 1), maxTokens: 60 });
      load.time.at(100, () => {
        load.submit({ id: 'urgent', priority, prompt: prompt(30, 2), maxTokens: 5 });
      });
      await load.run();
      expect(load.engine.stats.preemptions).toBe(preemptions);
      expect(load.of('normal').tokens).toHaveLength(60);
      const isFirst = (load.of('urgent').times[0] ?? 0) < (load.of('normal').times.at(-1) ?? 0);
      expect(isFirst).toBe(preemptions === 1);
    }
  });
});

describe.each([true, false])('running out of pages (overlap %s)', (overlap) => {
  const small: EngineOptions = { ...options, totalPages: 21, overlap, outputReserve: 0 };

  it('preempts the lowest priority, of that the newest, and completes all', async () => {
    const load = new SimulatedLoad(small);
    const preempted: string[] = [];
    load.onStep = (events) => {
      for (const event of events)
        if (event.kind === 'finished' && event.stats.preemptions > 0) preempted.push(event.id);
    };
    const priorities = { a: 1, b: 0, c: 1, d: 0 };
    for (const [i, [id, priority]] of Object.entries(priorities).entries())
      load.submit({ id, priority, prompt: prompt(20, i), maxTokens: 40 });
    await load.run();
    for (const id of Object.keys(priorities)) expect(load.of(id).tokens).toHaveLength(40);
    expect(preempted).toContain('c');
    expect(preempted).not.toContain('b');
    expect(preempted).not.toContain('d');
  });

  it('does not thrash: who was preempted comes back when there is room', async () => {
    const load = new SimulatedLoad(small);
    for (let i = 0; i < 6; i++) load.submit({ id: `r${i}`, prompt: prompt(10, i), maxTokens: 100 });
    await load.run();
    for (let i = 0; i < 6; i++) expect(load.of(`r${i}`).tokens).toHaveLength(100);
    // 660 tokens in a cache of 160: somebody must go out again and again, but not in every step.
    expect(load.engine.stats.preemptions).toBeLessThan(8);
  });

  it('ends the last one with length when it alone has filled the cache', async () => {
    const load = new SimulatedLoad(small);
    load.submit({ id: 'a', prompt: prompt(100, 1), maxTokens: 300 });
    load.submit({ id: 'b', prompt: prompt(20, 2), maxTokens: 30 });
    await load.run();
    expect(load.engine.stats.preemptions).toBe(1);
    expect(load.of('a').outcomes).toEqual([{ reason: 'length' }]);
    // Twenty pages hold the K/V of 160 tokens; one more was sampled.
    expect(load.of('a').tokens).toHaveLength(160 + 1 - 100);
    expect(load.of('b').tokens).toHaveLength(30);
  });
});
