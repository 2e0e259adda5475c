import { describe, expect, it } from 'vitest';
import { SimulatedHiSparse } from '../testing/simulated-hisparse.ts';
import { SimulatedLoad } from '../testing/simulated-load.ts';
import { sampleAfter } from '../testing/simulated-runner.ts';

const hisparse = { topK: 8, deviceBufferSize: 16, hostToDeviceRatio: 4, swapInBlockSize: 32 };
const options = { totalPages: 30, pageSize: 8, maxModelLength: 400, maxRunning: 8, hisparse };

function open(more: object = {}) {
  const load = new SimulatedLoad({ ...options, ...more });
  const { runner } = load;
  if (!(runner instanceof SimulatedHiSparse)) throw new Error('HiSparse is off');
  return { load, engine: load.engine, runner };
}

const prompt = (length: number, first = 1) => Array.from({ length }, (_, i) => (first + i) % 50);

/** What the simulated model writes after a prompt. */
function textAfter(tokens: readonly number[], length: number): number[] {
  const sequence = [...tokens];
  while (sequence.length < tokens.length + length) sequence.push(sampleAfter(sequence, 0));
  return sequence.slice(tokens.length);
}

describe('a request with HiSparse', () => {
  it.each([1, 7, 8, 9, 15, 16, 17, 24, 25, 100])(
    'of %i tokens generates what it should, through its buffer and beyond',
    async (length) => {
      const { load, engine, runner } = open();
      load.submit({ id: 'a', prompt: prompt(length), maxTokens: 40 });
      await load.run();
      expect(load.of('a').tokens).toEqual(textAfter(prompt(length), 40));
      expect(load.of('a').outcomes).toEqual([{ reason: 'length' }]);
      const { hitRate = 0, bytesSwappedIn = 0, misses = 0 } = engine.stats.hisparse ?? {};
      expect(runner.counts).toMatchObject({ stores: 1, loads: 0 });
      expect(misses).toBeGreaterThan(0);
      // The third layer replays the copies of the second one.
      expect(bytesSwappedIn).toBeGreaterThan(misses * 16);
      expect(hitRate > 0.3 && hitRate < 1).toBe(true);
    },
  );

  it('is in no step while its prompt goes to the host', async () => {
    const { load, engine, runner } = open();
    load.submit({ id: 'a', prompt: prompt(50), maxTokens: 5 });
    let most = 0;
    load.onStep = () => {
      most = Math.max(most, engine.stats.hisparse?.staging ?? 0);
    };
    await load.run();
    expect(most).toBe(1);
    expect(runner.plans.map(({ decodes }) => decodes.length)).toEqual([0, 1, 1, 1, 1]);
  });

  it('that ends with its first token is not staged', async () => {
    const { load, runner } = open();
    load.submit({ id: 'a', prompt: prompt(50), maxTokens: 1 });
    await load.run();
    expect(load.of('a').tokens).toHaveLength(1);
    expect(runner.counts.stores).toBe(0);
  });

  it('finds its prefix on the host', async () => {
    const { load, engine, runner } = open();
    load.submit({ id: 'a', prompt: prompt(60), maxTokens: 3 });
    await load.run();
    load.submit({ id: 'b', prompt: prompt(80), maxTokens: 30 });
    await load.run();
    expect(load.of('b').tokens).toEqual(textAfter(prompt(80), 30));
    expect(engine.stats.prefixCacheHits).toBe(56);
    expect(runner.counts).toMatchObject({ stores: 2, loads: 1 });
    // Choices wait until the first of them is on the host.
    load.submit({ id: 'c', prompt: prompt(80, 7), n: 3, maxTokens: 30 });
    await load.run();
    expect(runner.counts.loads).toBe(3);
    for (let index = 0; index < 3; index++)
      expect(load.of('c', index).tokens).toEqual(textAfter(prompt(80, 7), 30));
  });

  it('may become longer than all pages of the device', async () => {
    const { load } = open({ totalPages: 6 });
    load.submit({ id: 'a', prompt: prompt(40), maxTokens: 100 });
    await load.run();
    expect(load.of('a').tokens).toEqual(textAfter(prompt(40), 100));
    expect(() => load.submit({ id: 'b', prompt: prompt(41), maxTokens: 1 })).toThrow(
      'expected at most 40 tokens',
    );
  });

  it('waits while the host is full, and runs many more than the device could hold', async () => {
    const { load, engine } = open({ totalPages: 25, maxRunning: 64 });
    for (let i = 0; i < 40; i++) load.submit({ id: `r${i}`, prompt: prompt(60, i), maxTokens: 50 });
    let [running, waiting] = [0, 0];
    load.onStep = () => {
      running = Math.max(running, engine.stats.running);
      waiting = Math.max(waiting, engine.stats.waiting);
    };
    await load.run();
    for (let i = 0; i < 40; i++)
      expect(load.of(`r${i}`).tokens).toEqual(textAfter(prompt(60, i), 50));
    // 24 pages: one request of 110 tokens needs 14 of them without HiSparse, and 3 with it.
    expect(running).toBeGreaterThan(3);
    expect(waiting).toBeGreaterThan(20);
  });

  it.each(['store', 'load'] as const)('whose %s fails ends alone', async (kind) => {
    const { load, runner } = open();
    load.submit({ id: 'warm', prompt: prompt(60), maxTokens: 2 });
    await load.run();
    const copy = runner.transfers[kind];
    let calls = 0;
    runner.transfers[kind] = (pages) => {
      if (calls++ > 0) return copy(pages);
      if (kind === 'load') throw new Error('thrown at once');
      return Promise.reject(new Error('rejected'));
    };
    // Only what was there before has anything to load.
    const asked = kind === 'load' ? prompt(60) : prompt(60, 20);
    load.submit({ id: 'a', prompt: asked, maxTokens: 30 });
    load.submit({ id: 'b', prompt: prompt(70, 5), maxTokens: 30 });
    await load.run();
    const [outcome] = load.of('a').outcomes;
    const error = outcome?.reason === 'error' ? outcome.error.message : '';
    expect(error).toContain(`a copy of K/V to the ${kind === 'store' ? 'host' : 'device'}`);
    expect(load.of('b').tokens).toEqual(textAfter(prompt(70, 5), 30));
    load.submit({ id: 'again', prompt: asked, maxTokens: 30 });
    await load.run();
    expect(load.of('again').tokens).toEqual(textAfter(asked, 30));
  });

  it('that is cancelled while it is copied holds its pages until the copy has ended', async () => {
    const { load, engine, runner } = open();
    const copy = runner.transfers.store;
    runner.transfers.store = (pages) => {
      engine.cancel('a');
      expect(engine.stats.hisparse?.device.usedTokens).toBe(56);
      return copy(pages);
    };
    load.submit({ id: 'a', prompt: prompt(50), maxTokens: 5 });
    await load.run();
    expect(load.of('a').outcomes).toEqual([{ reason: 'cancelled' }]);
    expect(engine.stats.hisparse?.device.usedTokens).toBe(0);
  });
});

it('without HiSparse the same requests give the same text', async () => {
  const run = async (more: object) => {
    const load = new SimulatedLoad({ ...options, totalPages: 60, ...more });
    for (let i = 0; i < 12; i++)
      load.submit({ id: `r${i}`, prompt: prompt(10 + 9 * i, i % 3), maxTokens: 40 });
    await load.run();
    return [...load.received.values()].map(({ tokens }) => tokens);
  };
  expect(await run({})).toEqual(await run({ hisparse: undefined }));
});
