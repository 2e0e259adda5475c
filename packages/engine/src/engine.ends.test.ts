import { describe, expect, it } from 'vitest';
import { Engine } from './engine.ts';
import {
  EngineOptionError,
  EngineStoppedError,
  InvalidRequestError,
  QueueFullError,
  RequestTooLongError,
  RunnerError,
} from './errors.ts';
import type { EngineOptions } from './options.ts';
import type { RequestOptions } from './request/options.ts';
import type { BatchPlan, StepOutput } from './runner/model-runner.ts';
import { SimulatedLoad } from './testing/simulated-load.ts';
import { sampleAfter } from './testing/simulated-runner.ts';

const options: EngineOptions = {
  totalPages: 41,
  pageSize: 8,
  maxModelLength: 300,
  targetStepMs: 10,
  outputReserve: 0.1,
};
const prompt = (length: number) => Array.from({ length }, (_, i) => (i * 3) % 50);

describe('what is refused', () => {
  const engine = () => new Engine({ run: () => Promise.reject(new Error('unused')) }, options);

  it.each<[string, Partial<RequestOptions>]>([
    ['an empty id', { id: '' }],
    ['an empty prompt', { prompt: [] }],
    ['a fraction for a token', { prompt: [1, 2.5] }],
    ['a negative token', { prompt: [-1] }],
    ['NaN for a token', { prompt: [Number.NaN] }],
    ['no tokens to generate', { maxTokens: 0 }],
    ['a stop token that is none', { stopTokens: [-2] }],
    ['n of 0', { n: 0 }],
    ['n of a million', { n: 1e6 }],
    ['a priority that is no number', { priority: Number.NaN }],
    ['a timeout of 0', { timeoutMs: 0 }],
  ])('%s', (_name, wrong) => {
    const it = engine();
    expect(() => it.submit({ id: 'x', prompt: [1], ...wrong })).toThrow(InvalidRequestError);
    expect(it.hasWork).toBe(false);
  });

  it('a prompt that can never fit, and an id that is in use', () => {
    const it = engine();
    it.submit({ id: 'x', prompt: prompt(299) });
    expect(() => it.submit({ id: 'y', prompt: prompt(300) })).toThrow(RequestTooLongError);
    expect(() => it.submit({ id: 'x', prompt: [1] })).toThrow(/in use/);
    const small = new Engine({ run: () => Promise.reject() }, { ...options, totalPages: 11 });
    small.submit({ id: 'x', prompt: prompt(79) });
    expect(() => small.submit({ id: 'y', prompt: prompt(80) })).toThrow(
      /at most 79 tokens, got 80/,
    );
  });

  it('more than the queue may hold, by requests and by tokens', () => {
    const limits = { maxQueuedRequests: 3, maxQueuedTokens: 50 };
    const it = new Engine({ run: () => Promise.reject() }, { ...options, ...limits });
    it.submit({ id: 'a', prompt: prompt(10), n: 2 });
    expect(() => it.submit({ id: 'b', prompt: prompt(10), n: 2 })).toThrow(QueueFullError);
    expect(() => it.submit({ id: 'b', prompt: prompt(31) })).toThrow(QueueFullError);
    it.submit({ id: 'b', prompt: prompt(30) });
    it.cancel('a');
    it.submit({ id: 'c', prompt: prompt(20) });
  });

  it('impossible options', () => {
    const make = (wrong: Partial<EngineOptions>) => () =>
      new Engine({ run: () => Promise.reject() }, { ...options, ...wrong });
    expect(make({ totalPages: 1 })).toThrow(EngineOptionError);
    expect(make({ maxBatchTokens: 100 })).toThrow(
      /maxBatchTokens: expected an integer of at least 264/,
    );
    expect(make({ deterministicChunk: 20 })).toThrow(/multiple of pageSize/);
    expect(make({ targetStepMs: Number.NaN })).toThrow(EngineOptionError);
    expect(make({ outputReserve: 2 })).toThrow(EngineOptionError);
  });
});

describe.each([true, false])('ends (overlap %s)', (overlap) => {
  it.each([
    ['in the queue', 0],
    ['in a prompt', 5],
    ['in the output', 400],
  ])('a request that is cancelled %s, and has its pages back in two steps', async (_name, at) => {
    const load = new SimulatedLoad({ ...options, overlap });
    load.submit({ id: 'other', prompt: [7], maxTokens: 250 });
    load.submit({ id: 'it', prompt: prompt(160), maxTokens: 100 });
    let steps = Number.NaN;
    const cancel = () => {
      load.engine.cancel('it');
      load.engine.cancel('it');
      load.engine.cancel('nobody');
      steps = 0;
    };
    if (at === 0) cancel();
    else load.time.at(at, cancel);
    load.onStep = () => {
      const { free, total } = load.engine.stats.pages;
      if (steps++ === 2) expect(total - free).toBeLessThan(50);
      if (steps > 2) expect(total - free).toBeLessThanOrEqual(Math.ceil(251 / 8));
    };
    await load.run();
    expect(load.of('it').outcomes).toEqual([{ reason: 'cancelled' }]);
    expect(load.of('it').tokens.length > 0).toBe(at === 400);
    expect(load.of('other').tokens).toHaveLength(250);
  });

  it('a request at its deadline, wherever it is', async () => {
    const load = new SimulatedLoad({ ...options, overlap, maxRunning: 1 });
    load.submit({ id: 'running', prompt: prompt(20), maxTokens: 200, timeoutMs: 300 });
    load.submit({ id: 'queued', prompt: prompt(20), maxTokens: 200, timeoutMs: 200 });
    load.submit({ id: 'next', prompt: prompt(20), maxTokens: 3 });
    await load.run();
    expect(load.of('queued')).toMatchObject({ tokens: [], outcomes: [{ reason: 'deadline' }] });
    expect(load.of('running').outcomes).toEqual([{ reason: 'deadline' }]);
    expect(load.of('running').tokens.length).toBeGreaterThan(10);
    expect(load.of('next').outcomes).toEqual([{ reason: 'length' }]);
  });

  it('a stop token, not before minTokens, and a choice whose caller found a stop string', async () => {
    const load = new SimulatedLoad({ ...options, overlap });
    load.submit({ id: 'free', prompt: prompt(20), maxTokens: 60 });
    await load.run();
    const { tokens } = load.of('free');
    const stop = tokens[5] ?? 0;
    const first = tokens.indexOf(stop);
    load.submit({ id: 'stop', prompt: prompt(20), maxTokens: 60, stopTokens: [stop] });
    const minTokens = first + 2;
    load.submit({ id: 'min', prompt: prompt(20), maxTokens: 60, stopTokens: [stop], minTokens });
    load.submit({ id: 'string', prompt: prompt(20), n: 2, maxTokens: 60 });
    load.time.after(150, () => load.engine.finish('string', 1));
    await load.run();
    expect(load.of('stop').tokens).toEqual(tokens.slice(0, first + 1));
    expect(load.of('stop').outcomes).toEqual([{ reason: 'stop' }]);
    expect(load.of('min').tokens.length).toBeGreaterThanOrEqual(minTokens);
    expect(load.of('string', 0).outcomes).toEqual([{ reason: 'length' }]);
    expect(load.of('string', 1).outcomes).toEqual([{ reason: 'stop' }]);
  });

  it('keeps the pages of a request that ended while the device is late', async () => {
    const load = new SimulatedLoad({ ...options, overlap }, 1, { failure: 0, lateness: 1 });
    load.submit({ id: 'it', prompt: prompt(160), maxTokens: 100 });
    const step = load.engine.step();
    load.engine.cancel('it');
    const { pages, running } = load.engine.stats;
    expect(running).toBe(0);
    expect(pages.total - pages.free).toBe(20);
    await load.time.next();
    const events = [...(await step), ...(await load.engine.step())];
    expect(events).toMatchObject([{ kind: 'finished', outcome: { reason: 'cancelled' } }]);
    expect(load.engine.stats.pages.free).toBe(pages.total);
    expect(load.engine.hasWork).toBe(false);
  });

  it('never shares pages that a failed step has written', async () => {
    // The third chunk fails. With overlap the second one is committed while it is in flight.
    const load = new SimulatedLoad({ ...options, overlap, maxBatchTokens: 264, targetStepMs: 1 });
    load.submit({ id: 'warm-up', prompt: [1], maxTokens: 1 });
    await load.run();
    const [before] = [load.runner.plans.length];
    load.runner.failAt.add(before + 3);
    load.submit({ id: 'failing', prompt: prompt(290), maxTokens: 1 });
    await load.run();
    expect(load.of('failing').outcomes).toMatchObject([{ reason: 'error' }]);
    const done = load.runner.plans.slice(before, before + 2).flatMap(({ prefills }) => prefills);
    const committed = done.reduce((sum, chunk) => sum + chunk.tokens.length, 0);
    expect(load.engine.stats.pages.cached).toBe(committed / 8);
    load.submit({ id: 'again', prompt: prompt(290), maxTokens: 1 });
    await load.run();
    expect(load.engine.stats.prefixCacheHits).toBe(committed);
    expect(load.of('again').tokens).toEqual([sampleAfter(prompt(290), 0)]);
  });

  it('reports what a request has cost', async () => {
    const load = new SimulatedLoad({ ...options, overlap });
    const stats: unknown[] = [];
    load.onStep = (events) => {
      for (const event of events) if (event.kind === 'finished') stats.push(event.stats);
    };
    load.submit({ id: 'a', prompt: prompt(20), maxTokens: 4 });
    await load.run();
    load.submit({ id: 'b', prompt: prompt(20), maxTokens: 4 });
    await load.run();
    const common = { promptTokens: 20, outputTokens: 4, preemptions: 0, wastedTokens: 0 };
    const { times } = load.of('b');
    expect(stats).toMatchObject([
      { ...common, cachedTokens: 0, arrivedAt: 0, startedAt: 0 },
      { ...common, cachedTokens: 16, firstTokenAt: times[0], finishedAt: times[3] },
    ]);
  });
});

describe('a runner that fails', () => {
  const serve = async (run: (plan: BatchPlan) => Promise<StepOutput>, overlap: boolean) => {
    const engine = new Engine({ run }, { ...options, overlap, maxFailures: 100 });
    engine.submit({ id: 'a', prompt: prompt(20), maxTokens: 5 });
    engine.submit({ id: 'b', prompt: prompt(30), maxTokens: 5, n: 2 });
    const events = [];
    while (engine.hasWork) events.push(...(await engine.step()));
    engine.checkIntegrity();
    expect(engine.stats.pages.free).toBe(engine.stats.pages.total);
    const ends = events.flatMap((event) => (event.kind === 'finished' ? [event.outcome] : []));
    return { engine, ends };
  };

  describe.each([true, false])('with overlap %s', (overlap) => {
    it.each<[string, (plan: BatchPlan) => Promise<StepOutput>]>([
      ['rejects', () => Promise.reject(new Error('no memory'))],
      [
        'throws',
        () => {
          throw new Error('no memory');
        },
      ],
      ['rejects without a reason', () => Promise.reject()],
      ['gives too few tokens', () => Promise.resolve({ tokens: [], durationMs: 1 })],
      [
        'gives NaN',
        (plan) =>
          Promise.resolve({ tokens: Array(plan.prefills.length).fill(Number.NaN), durationMs: 1 }),
      ],
      ['gives nothing', () => Promise.resolve(undefined as unknown as StepOutput)],
    ])('ends its requests with an error when it %s', async (_name, run) => {
      const { ends } = await serve(run, overlap);
      expect(ends).toHaveLength(3);
      for (const end of ends) {
        if (end.reason !== 'error') expect(end.reason).toBe('error');
        else expect(end.error).toBeInstanceOf(RunnerError);
      }
    });

    it('stops the engine when the failure is fatal', async () => {
      const problem = {
        subject: 'GPU 0',
        expected: 'a device',
        actual: 'none',
        remedy: 'Restart.',
      };
      const error = new RunnerError(problem, { fatal: true });
      const { engine, ends } = await serve(() => Promise.reject(error), overlap);
      expect(ends).toEqual(Array(3).fill({ reason: 'error', error }));
      expect(() => engine.submit({ id: 'c', prompt: [1] })).toThrow(EngineStoppedError);
    });

    it('stops the engine after failures in a row, not after single ones', async () => {
      let failing = new Set([1, 3, 5, 7]);
      const answer = ({ step, decodes, prefills }: BatchPlan): Promise<StepOutput> => {
        if (failing.has(step)) return Promise.reject(new Error('no'));
        const samples = prefills.filter(({ samples }) => samples).length;
        return Promise.resolve({ tokens: Array(decodes.length + samples).fill(1), durationMs: 1 });
      };
      const engine = new Engine({ run: answer }, { ...options, overlap });
      const drain = async () => {
        while (engine.hasWork) await engine.step();
      };
      for (let i = 0; i < 6; i++) {
        engine.submit({ id: `r${i}`, prompt: [1, 2], maxTokens: 2 });
        await drain();
      }
      failing = new Set(Array.from({ length: 100 }, (_, i) => i));
      let numTaken = 0;
      const submit = () => engine.submit({ id: `f${numTaken++}`, prompt: [1, 2], maxTokens: 2 });
      const untilItThrows = async () => {
        for (;;) {
          submit();
          await drain();
        }
      };
      await expect(untilItThrows()).rejects.toThrow(
        /a running one, got one that a failure stopped/,
      );
      // The overlapped step fails with the one before it.
      expect(numTaken - 1).toBe(overlap ? 2 : 3);
    });
  });
});

it('does one step at a time', async () => {
  const load = new SimulatedLoad({ ...options, overlap: false });
  load.submit({ id: 'a', prompt: [1], maxTokens: 1 });
  const first = load.engine.step();
  await expect(load.engine.step()).rejects.toThrow(/one call of step at a time/);
  await load.time.next();
  expect(await first).toHaveLength(2);
});

it('cancels what there is when it is closed, and takes no more', async () => {
  const load = new SimulatedLoad(options);
  load.submit({ id: 'a', prompt: prompt(50), maxTokens: 100 });
  load.submit({ id: 'b', prompt: prompt(50), maxTokens: 100 });
  load.time.at(100, () => load.engine.close());
  await load.run();
  expect(load.of('a').outcomes).toEqual([{ reason: 'cancelled' }]);
  expect(load.of('b').outcomes).toEqual([{ reason: 'cancelled' }]);
  expect(() => load.engine.submit({ id: 'c', prompt: [1] })).toThrow(/a closed one/);
});
