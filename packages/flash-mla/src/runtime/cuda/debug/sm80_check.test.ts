import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../../ops/kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, SimContext } from '../../../ops/kernel-lib/cuda/testing/sim-context.ts';
import { checkKernel, checkSpec } from './sm80_check_launch.ts';

interface Given {
  readonly count: number;
  /** Elements that differ from 5, by their number. */
  readonly bad?: Readonly<Record<number, number>>;
}

const context = new SimContext(limitsFor('h200'));
const emptyReport = () => Number(context.memory.allocFrom(new Int32Array(4)));
const readReport = (at: number) => [...new Int32Array(context.memory.read(at, 16).buffer)];

function enqueue({ count, bad = {} }: Given, sequence: number, report: number): void {
  const data = new Int32Array(count).fill(5);
  for (const [at, value] of Object.entries(bad)) data[Number(at)] = value;
  const values = context.tensor('i32', [count], data);
  const check = { argument: 'values', values, low: 0, high: 9 };
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
    expect(reportOf({ count: 3000 })).toEqual(nothing);
    expect(reportOf({ count: 4, bad: { 0: 0, 3: 9 } })).toEqual(nothing);
    expect(reportOf({ count: 0 })).toEqual(nothing);
  });

  it.each([
    ['above', { 100: 10, 3000: -2 }, [7, 100, 10, 0]],
    ['below', { 3000: 12, 65: -1 }, [7, 65, -1, 0]],
    ['the very last', { 4096: -(2 ** 31) }, [7, 4096, -(2 ** 31), 0]],
  ] as const)('reports the first bad element: %s', (_name, bad, expected) => {
    expect(reportOf({ count: 4097, bad })).toEqual(expected);
  });

  it('reports where a sequence falls', () => {
    const rising = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [i, i >> 4]));
    expect(reportOf({ count: 100, bad: rising })).toEqual(nothing);
    const fallen = { ...rising, 64: 2, 80: 1 };
    expect(reportOf({ count: 100, bad: fallen })).toEqual([7, 64, 2, 0]);
  });

  it('keeps the first report', () => {
    const report = emptyReport();
    enqueue({ count: 4 }, 1, report);
    enqueue({ count: 4, bad: { 2: 100 } }, 2, report);
    enqueue({ count: 4, bad: { 1: 200 } }, 3, report);
    expect(readReport(report)).toEqual([2, 2, 100, 0]);
  });
});

describe('the debug check as machine code', () => {
  itAssembles([
    { name: 'check', launch: () => ({ kernel: checkSpec, config: {}, grid: [1, 1, 1] }) },
  ]);
});
