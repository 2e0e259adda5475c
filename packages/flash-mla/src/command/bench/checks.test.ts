import { describe, expect, it } from 'vitest';
import { attendedPairs } from '../../ops/bench/lengths.ts';
import type { ProblemOptions, Scale } from '../../ops/bench/operation.ts';
import { checkRoom, largest, maxRequests } from '../../ops/bench/sizes.ts';
import { benchOperations } from '../../ops/operation-tools.ts';
import type { DeviceCeilings } from '../../runtime/device/backend.ts';
import { inspectOperations } from '../inspect/operations.ts';
import { runCli } from '../testing/run-cli.ts';
import { highest, movedCeilings, movedWarning } from './ceilings.ts';
import { describeDefaults } from './defaults.ts';
import { problemFlags } from './problem-flags.ts';

describe('ceilings', () => {
  const before: DeviceCeilings = { flopsPerSecond: 40e9, readBytesPerSecond: 10e9, flopsOf: 'x' };
  const after: DeviceCeilings = { flopsPerSecond: 99e9, readBytesPerSecond: 9.2e9, flopsOf: 'x' };

  it('that moved by more than a tenth are named, those before and after it', () => {
    expect(movedCeilings(before, after)).toEqual([
      { ceiling: 'flopsPerSecond', before: 40e9, after: 99e9 },
    ]);
    expect(movedCeilings(after, before)).toHaveLength(1);
    expect(movedCeilings(before, { ...before, readBytesPerSecond: 8.9e9 })).toHaveLength(1);
    expect(movedCeilings(before, {})).toEqual([]);
    expect(movedWarning(movedCeilings(before, after))).toMatch(/FMA rate 40\.0 → 99\.0 GFLOP\/s\)/);
    expect(movedWarning([])).toBe(undefined);
  });

  it('are the higher of both', () => {
    const expected = { flopsPerSecond: 99e9, readBytesPerSecond: 10e9, flopsOf: 'x' };
    expect(highest(before, after)).toEqual(expected);
    expect(highest({}, {})).toEqual({});
  });
});

describe('sizes', () => {
  it('are compared with the room there is, and with what no device has', () => {
    checkRoom(100, 100, 'device x');
    expect(() => checkRoom(2 ** 31, 2 ** 30, 'device x')).toThrow(
      'This problem takes 2 GiB of memory, and device x has 1 GiB: choose smaller sizes.',
    );
    expect(() => checkRoom(2 ** 41, undefined, '')).toThrow(/no device has more than 1 TiB/);
  });

  it('that no kernel takes are refused', async () => {
    const problem = async (name: string, options: ProblemOptions) =>
      benchOperations[name]?.problem(options, 'cpu');
    const refusal = (name: string, options: ProblemOptions) =>
      problem(name, options).then(
        () => 'taken',
        (error: Error) => error.message,
      );
    expect([
      await refusal('dense-decode', { dQk: 100000 }),
      await refusal('dense-decode', { dQk: 128 }),
      await refusal('dense-attention', { dV: 7 }),
      await refusal('metadata', { hKv: 3 }),
    ]).toEqual([
      '--d-qk: expected a multiple of 16 up to 576, got 100000',
      '--d-v 512 is more than --d-qk 128.',
      '--d-v: expected a multiple of 8 up to 256, got 7',
      '--h-kv must divide --h-q: 3 does not divide 128.',
    ]);
  });

  it('of as many requests as there may be take no time', () => {
    const lengths = Array<number>(maxRequests).fill(3);
    expect(largest(lengths)).toBe(3);
    // Query by query this would take minutes.
    expect(attendedPairs(2 ** 31 - 1, lengths, true)).toBe(maxRequests * 6);
  });
});

describe('defaults', () => {
  it('are what problem() takes where nothing is given, and name only what is accepted', async () => {
    for (const operation of Object.values(benchOperations)) {
      for (const scale of ['cpu', 'gpu'] as const satisfies Scale[]) {
        const defaults = operation.defaults(scale);
        expect(operation.problem(defaults, scale), operation.name).toEqual(
          operation.problem({}, scale),
        );
        for (const key of Object.keys(defaults)) expect(operation.accepts).toContain(key);
        // Each size that an operation takes has a default, or one that follows from others.
        for (const key of operation.accepts) {
          const isFlag = problemFlags[key].isBoolean();
          const { long } = problemFlags[key];
          const known = key in defaults || operation.derived?.includes(`${long} is`) === true;
          expect(isFlag || known, `${operation.name} ${key}`).toBe(true);
        }
      }
    }
  });

  it('are in the help of bench and inspect', async () => {
    const both = {
      name: 'x',
      defaults: (scale: Scale): ProblemOptions => ({ b: scale === 'cpu' ? 1 : 2, sQ: 3 }),
    };
    expect(describeDefaults([both], ['cpu', 'gpu']).map(([, text]) => text)).toEqual([
      '--b\u00a01/2 --s-q\u00a03',
    ]);
    const bench = await runCli(['bench', '--help']);
    expect(bench.stdout).toMatch(/ {2}dense-decode +--b 4\/128 --s-q 1 --h-q 128/);
    const inspect = await runCli(['inspect', '--help']);
    expect(inspect.stdout).toMatch(/ {2}combine +--b 128 --s-q 1 --h-q 128/);
    for (const name of inspectOperations.keys())
      expect(inspect.stdout).toMatch(new RegExp(`^ {2}${name} +--`, 'm'));
  });
});

describe('bench --compare', () => {
  it('says where nothing could be compared', async () => {
    const baseline = new URL('../../../../../bench/baselines/flashmla-h200.json', import.meta.url);
    const args = [
      'bench',
      'metadata',
      '--b',
      '3',
      '--device',
      'cpu',
      '--compare',
      baseline.pathname,
    ];
    const { code, stderr } = await runCli(args);
    expect(stderr).toMatch(/warning: No row could be compared with .*flashmla-h200\.json/);
    expect(code).toBe(0);
  });
});
