import { describe, expect, it } from 'vitest';
import type { BatchPlan } from '../runner/model-runner.ts';
import { SimulatedHiSparse } from '../testing/simulated-hisparse.ts';
import { SimulatedLoad } from '../testing/simulated-load.ts';
import { sampleAfter } from '../testing/simulated-runner.ts';

const hisparse = { topK: 8, deviceBufferSize: 16, hostToDeviceRatio: 4, swapInBlockSize: 32 };
/** Ten pages of the device, and prompts that are computed in several chunks. */
const options = { totalPages: 11, pageSize: 8, maxModelLength: 300, maxRunning: 4, hisparse };
const prompt = (length: number, first: number) =>
  Array.from({ length }, (_, i) => (first + i) % 50);

type Moment = (plan: BatchPlan | undefined, copy: 'store' | 'load' | undefined) => boolean;

/** When the request, whose prompt has so many tokens, is in a state. */
const states: readonly (readonly [string, number, Moment])[] = [
  ['its prefix is loaded', 60, (_, copy) => copy === 'load'],
  ['a chunk of its prompt is computed', 70, (plan) => plan?.prefills[0]?.samples === false],
  ['its last chunk is computed', 60, (plan) => plan?.prefills[0]?.samples === true],
  ['its prompt goes to the host', 60, (_, copy) => copy === 'store'],
  ['it decodes within its buffer', 10, (plan) => (plan?.decodes[0]?.position ?? 99) < 16],
  ['its buffer becomes full', 10, (plan) => plan?.decodes[0]?.position === 16],
  ['it decodes beyond its buffer', 60, (plan) => (plan?.decodes[0]?.position ?? 0) > 62],
];

function textAfter(tokens: readonly number[], length: number): number[] {
  const sequence = [...tokens];
  while (sequence.length < tokens.length + length) sequence.push(sampleAfter(sequence, 0));
  return sequence.slice(tokens.length);
}

/** A request whose prefix is on the host if it may be, and what happens at a moment of its life. */
function open(length: number, isAt: Moment, overlap: boolean, act: (load: SimulatedLoad) => void) {
  const load = new SimulatedLoad({ ...options, overlap, maxBatchTokens: 36 });
  const { runner } = load;
  if (!(runner instanceof SimulatedHiSparse)) throw new Error('HiSparse is off');
  let [isArmed, hasActed] = [false, false];
  const look = (plan?: BatchPlan, copy?: 'store' | 'load') => {
    if (!isArmed || hasActed || !isAt(plan, copy)) return;
    hasActed = true;
    // Not in the middle of a step of the engine.
    load.time.after(0, () => act(load));
  };
  const run = runner.run.bind(runner);
  runner.run = (plan) => {
    look(plan);
    return run(plan);
  };
  for (const kind of ['store', 'load'] as const) {
    const copy = runner.transfers[kind];
    runner.transfers[kind] = (pages) => {
      look(undefined, kind);
      return copy(pages);
    };
  }
  const serve = async () => {
    // The first pages of the prompt of `a` are on the host.
    load.submit({ id: 'warm', prompt: prompt(30, 1), maxTokens: 2 });
    await load.run();
    isArmed = true;
    load.submit({ id: 'a', prompt: prompt(length, 1), maxTokens: 40 });
    await load.run();
    expect(hasActed).toBe(true);
  };
  return { load, serve };
}

describe.each([true, false])('with overlap: %s, a request that', (overlap) => {
  it.each(states)('is cancelled while %s leaves nothing behind', async (_, length, isAt) => {
    const { load, serve } = open(length, isAt, overlap, ({ engine }) => engine.cancel('a'));
    await serve();
    expect(load.of('a').outcomes).toEqual([{ reason: 'cancelled' }]);
    const { tokens } = load.of('a');
    expect(tokens).toEqual(textAfter(prompt(length, 1), tokens.length));
    const { device, host } = load.engine.stats.hisparse ?? {};
    expect([device?.usedTokens, host?.usedTokens]).toEqual([0, 0]);
    // What it left in the prefix cache is what it should be.
    load.submit({ id: 'again', prompt: prompt(length, 1), maxTokens: 40 });
    await load.run();
    expect(load.of('again').tokens).toEqual(textAfter(prompt(length, 1), 40));
  });

  it.each(states)('is preempted while %s gets the same text', async (_, length, isAt) => {
    const { load, serve } = open(length, isAt, overlap, () => {
      // Takes nine of the ten pages.
      load.submit({ id: 'urgent', prompt: prompt(70, 25), maxTokens: 5, priority: -100 });
    });
    await serve();
    expect(load.engine.stats.preemptions).toBeGreaterThan(0);
    expect(load.of('urgent').tokens).toEqual(textAfter(prompt(70, 25), 5));
    expect(load.of('a').tokens).toEqual(textAfter(prompt(length, 1), 40));
    const { device, host } = load.engine.stats.hisparse ?? {};
    expect([device?.usedTokens, host?.usedTokens]).toEqual([0, 0]);
  });
});

describe('a full host', () => {
  it('lets requests wait though the device has room, and crashes nothing', async () => {
    // As many pages on the host as on the device, of which hot buffers take few.
    const load = new SimulatedLoad({
      ...{ ...options, totalPages: 21, maxRunning: 16 },
      hisparse: { ...hisparse, hostToDeviceRatio: 1 },
    });
    const waits: number[] = [];
    load.onStep = () => {
      const { hisparse: now, running, waiting } = load.engine.stats;
      if (now === undefined || waiting === 0 || running === 0) return;
      const hostLeft = now.host.totalTokens - now.host.usedTokens;
      const deviceLeft = now.device.totalTokens - now.device.usedTokens;
      if (hostLeft < 64 && deviceLeft > 80) waits.push(running);
    };
    for (let i = 0; i < 12; i++) load.submit({ id: `r${i}`, prompt: prompt(50, i), maxTokens: 30 });
    await load.run();
    expect(waits.length).toBeGreaterThan(0);
    for (let i = 0; i < 12; i++)
      expect(load.of(`r${i}`).tokens).toEqual(textAfter(prompt(50, i), 30));
  });
});
