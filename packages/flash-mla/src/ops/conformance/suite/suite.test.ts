import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Device, openDevice } from '../../../index.ts';
import {
  type CaseSelection,
  type ConformanceCase,
  type ConformanceOptions,
  type ConformanceResult,
  conformanceCases,
  runConformance,
  selectCases,
} from '../../cases.ts';
import { type Fault, faultyDevice } from '../testing/faulty-backend.ts';
import { resultsOf } from '../testing/results.ts';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.dispose());

describe('the quick suite on the cpu', () => {
  const cases = selectCases();
  const isLeftOut = ({ excluded }: ConformanceCase) => excluded?.cpu !== undefined;

  it('leaves out what the processor has no kernel for, and says so', async () => {
    const leftOut = cases.filter(isLeftOut);
    expect(leftOut.length).toBeGreaterThan(0);
    for (const { name, excluded } of leftOut) {
      const [result] = (await resultsOf(device, { filter: name })).filter((r) => r.name === name);
      expect(result).toMatchObject({ status: 'excluded', message: excluded?.cpu });
    }
  });

  const run = cases.filter((each) => !isLeftOut(each));
  it.each(run.map(({ name }) => name))('%s', async (name) => {
    const [result] = (await resultsOf(device, { filter: name })).filter((r) => r.name === name);
    expect(result?.message).toBe('');
    expect(result?.status).toBe('passed');
  });
});

describe('the list of cases', () => {
  const all = conformanceCases();

  it('has unique names and covers the grids', () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    const count = (words: string, test = (_: string) => true) =>
      all.filter(({ name, quick }) => !quick && name.startsWith(words) && test(name)).length;
    // b × sQ × sK × (heads that divide) × varlen × causal; b = 128 × heads × causal.
    const plain = (name: string) =>
      !/f16|e4m3|peaky|page|dQk|gap|tensors|invariant|graph/.test(name);
    expect(count('dense-decode', plain)).toBeGreaterThanOrEqual(4 * 3 * 3 * 16 * 4 + 16 * 2 - 8);
    expect(count('sparse-decode')).toBeGreaterThan(2 * 4 * 6 * (2 + 6 * 4) * 4);
    expect(count('sparse-prefill')).toBeGreaterThan(2 * 4 * 10 * 3);
    expect(count('varlen-attention')).toBeGreaterThan(100);
    expect(count('cache-attention')).toBeGreaterThan(100);
  });

  it('keeps the quick suite cheap enough for a simulated device', () => {
    const quick = all.filter((each) => each.quick);
    expect(quick.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThan(25_000);
    expect(Math.max(...quick.map(({ cost }) => cost))).toBeLessThan(2000);
  });

  it.each<[string, CaseSelection, (name: string, cost: number) => boolean]>([
    ['words in any order and case', { filter: 'CAUSAL dense' }, (n) => /^dense.*causal/.test(n)],
    ['a cost', { suite: 'full', maxCost: 10 }, (_, cost) => cost <= 10],
  ])('is cut by %s', (_, selection, belongs) => {
    const selected = selectCases(selection);
    expect(selected.length).toBeGreaterThan(1);
    expect(selected.every(({ name, cost }) => belongs(name, cost))).toBe(true);
  });

  it('is dealt out to shards without loss', () => {
    const shards = [0, 1, 2].map((index) =>
      selectCases({ suite: 'full', shard: { index, count: 3 } }),
    );
    expect(new Set(shards.flat()).size).toBe(all.length);
  });

  it.each<[CaseSelection, string]>([
    [{ suite: 'slow' as never }, 'suite'],
    [{ shard: { index: 3, count: 3 } }, 'shard'],
  ])('refuses %j', (selection, argument) => {
    expect(() => selectCases(selection)).toThrow(expect.objectContaining({ argument }));
  });
});

describe('the runner', () => {
  it('keeps lengths in range where the device checks them', async () => {
    await using checked = await openDevice('cpu', { debug: true });
    const list = await resultsOf(checked, { filter: 'lengths' });
    list.push(...(await resultsOf(checked, { filter: 'cache-attention' })));
    expect(list.length).toBeGreaterThan(15);
    expect(list.filter(({ status }) => status !== 'passed')).toEqual([]);
  });

  it('goes on after a case that throws', async () => {
    let calls = 0;
    const fault: Fault = {
      sparsePrefill: (args: object) => {
        calls++;
        if (calls === 1) throw new Error('kernel is on strike');
        return args;
      },
    };
    const list = await resultsOf(faultyDevice(device, fault), { filter: 'prefill lengths' });
    expect(list[0]).toMatchObject({ status: 'failed', message: 'Error: kernel is on strike' });
    expect(list.slice(1).map(({ status }) => status)).toEqual(list.slice(1).map(() => 'passed'));
  });

  it('leaves out what is excluded and says why', async () => {
    const exclusions = [{ backend: 'cpu', cases: 'hQ=126', reason: 'it is too odd' }] as const;
    const list = await resultsOf(device, { filter: 'dense sQ=2 hKv=2', exclusions });
    const excluded = list.filter(({ status }) => status === 'excluded');
    expect(excluded.map(({ message }) => message)).toEqual(['it is too odd']);
    expect(list.length).toBeGreaterThan(1);
  });

  it('holds cases with bounds of their own to those', async () => {
    const tolerances = { out: { absolute: 1e-9, relative: 1e-9 } };
    const exclusions = [
      { backend: 'cpu', cases: 'page=69', reason: 'to test', tolerances },
    ] as const;
    const list = await resultsOf(device, { filter: 'dense page=69', exclusions });
    expect(list.map(({ status }) => status)).toEqual(['failed']);
  });

  it('tells its progress and stops at the signal', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const options: ConformanceOptions = {
      filter: 'schedule',
      signal: controller.signal,
      onProgress: ({ done, total }) => {
        seen.push(done);
        expect(total).toBe(6);
        if (done === 2) controller.abort(new Error('enough'));
      },
    };
    const list: ConformanceResult[] = [];
    const run = async () => {
      for await (const result of runConformance(device, options)) list.push(result);
    };
    await expect(run()).rejects.toThrow('enough');
    expect(seen).toEqual([0, 1, 2]);
    expect(list.length).toBeLessThanOrEqual(3);
  });

  it('samples what is too large, and looks at the rest', async () => {
    const filter = 'dense-decode b=2 sQ=2 sK=140 hQ=64';
    const [result] = await resultsOf(device, { filter, referenceBudget: 1e7 });
    const [out] = result?.comparisons ?? [];
    expect(result?.status).toBe('passed');
    expect(out?.compared).toBeGreaterThan(0);
    expect(out?.compared).toBeLessThan(out?.elements ?? 0);
  });
});
