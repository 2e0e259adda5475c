import { describe, expect, it } from 'vitest';
import type { NumberCheck } from '../../../operation/number-check.ts';
import { checkKernel, checkSpec } from './sm80_check_launch.ts';
import { itAssembles } from './testing/assembly.ts';
import { limitsFor, SimContext } from './testing/sim-context.ts';

interface Given {
  readonly shape: readonly number[];
  readonly strides?: readonly number[];
  readonly counts?: readonly number[];
  readonly rules?: Partial<NumberCheck>;
  /** Elements that differ from 5, by their offset in memory. */
  readonly bad?: Readonly<Record<number, number>>;
}

const context = new SimContext(limitsFor('h200'));
const emptyReport = () => Number(context.memory.allocFrom(new Int32Array(4)));
const readReport = (at: number) => [...new Int32Array(context.memory.read(at, 16).buffer)];

function enqueue(given: Given, sequence: number, report: number): void {
  const { shape, strides, counts, rules, bad = {} } = given;
  const size = strides ? shape.reduce((sum, n, d) => sum + (n - 1) * strides[d], 1) : undefined;
  const data = new Int32Array(size ?? shape.reduce((a, b) => a * b, 1)).fill(5);
  for (const [at, value] of Object.entries(bad)) data[Number(at)] = value;
  const values = context.tensor('i32', shape, data, strides ? { strides } : {});
  const check: NumberCheck = {
    argument: 'values',
    values,
    low: 0,
    high: 9,
    alsoAllowed: 0,
    ascending: false,
    unit: 1,
    ...rules,
    ...(counts ? { counts: context.tensor('i32', [counts.length], Int32Array.from(counts)) } : {}),
  };
  context.run(checkKernel, { check, sequence, report });
}

function reportOf(given: Given): number[] {
  const report = emptyReport();
  enqueue(given, 7, report);
  return readReport(report);
}

const nothing = [0, 0, 0, 0];

describe('the debug check in the simulator', () => {
  it('reports nothing where all is well', () => {
    expect(reportOf({ shape: [70, 3, 65] })).toEqual(nothing);
    expect(reportOf({ shape: [4], bad: { 0: 0, 3: 9 } })).toEqual(nothing);
    expect(reportOf({ shape: [0, 8] })).toEqual(nothing);
  });

  it.each([
    ['above', { 100: 10, 3000: -2 }, [7, 100, 10, 0]],
    ['below', { 3000: 12, 65: -1 }, [7, 65, -1, 0]],
    ['the very last', { [70 * 3 * 65 - 1]: -(2 ** 31) }, [7, 70 * 3 * 65 - 1, -(2 ** 31), 0]],
  ] as const)('reports the first bad element: %s', (_name, bad, expected) => {
    expect(reportOf({ shape: [70, 3, 65], bad })).toEqual(expected);
  });

  it('lets a value outside the range pass where it is allowed', () => {
    const rules = { alsoAllowed: -1 };
    expect(reportOf({ shape: [2, 40], bad: { 3: -1, 77: -1 }, rules })).toEqual(nothing);
    expect(reportOf({ shape: [2, 40], bad: { 3: -1, 77: -2 }, rules })).toEqual([7, 77, -2, 0]);
  });

  it('counts the elements of strided tensors by their shape', () => {
    const strides = [50, 1];
    expect(reportOf({ shape: [3, 40], strides, bad: { 45: 99 } })).toEqual(nothing);
    expect(reportOf({ shape: [3, 40], strides, bad: { 101: 99 } })).toEqual([7, 81, 99, 0]);
  });

  it('looks only at what the counts say, whole units of it', () => {
    const shape = [3, 2, 8];
    const bad = { 3: 11, 21: 12, 47: 13 };
    const rules = { unit: 4 };
    const first = reportOf({ shape, bad, rules, counts: [12, 8, 2 ** 31 - 1] });
    expect(first).toEqual([7, 47, 13, 0]);
    expect(reportOf({ shape, bad, rules, counts: [-5, 21, 0] })).toEqual([7, 21, 12, 0]);
    expect(reportOf({ shape, bad, rules, counts: [13, 21, 0] })).toEqual([7, 3, 11, 0]);
    expect(reportOf({ shape, bad, rules, counts: [0, 0, 0] })).toEqual(nothing);
  });

  it('reports where a sequence falls', () => {
    const rules = { ascending: true };
    const rising = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [i, i >> 4]));
    expect(reportOf({ shape: [100], bad: rising, rules })).toEqual(nothing);
    const fallen = { ...rising, 64: 2, 80: 1 };
    expect(reportOf({ shape: [100], bad: fallen, rules })).toEqual([7, 64, 2, 0]);
  });

  it('keeps the first report', () => {
    const report = emptyReport();
    enqueue({ shape: [4] }, 1, report);
    enqueue({ shape: [4], bad: { 2: 100 } }, 2, report);
    enqueue({ shape: [4], bad: { 1: 200 } }, 3, report);
    expect(readReport(report)).toEqual([2, 2, 100, 0]);
  });
});

describe('the debug check as machine code', () => {
  const configs = [true, false].map((flag) => ({ ascending: flag, hasCounts: !flag }));
  itAssembles(
    configs.map((config) => ({
      name: JSON.stringify(config),
      launch: () => ({ kernel: checkSpec, config, grid: [1, 1, 1] }),
    })),
  );
});
