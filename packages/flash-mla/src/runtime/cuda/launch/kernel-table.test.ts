import { UnsupportedOperationError } from '@flash-mla/core';
import { expect, it } from 'vitest';
import { defineOperation } from '../../operation/operation.ts';
import { type BindContext, type Call, defineCudaKernel, type OperationPlan } from '../kernel.ts';
import { KernelTable } from './kernel-table.ts';

interface Args {
  readonly rows: number;
  readonly width: number;
}

const operation = defineOperation<Args, number, string>({
  name: 'copy',
  reads: () => [],
  writes: () => [],
});

const call: Call = { stream: 0, workspace: () => 0, counters: () => 0 };
const context = { limits: { sm: 90 } } as unknown as BindContext;

/** A kernel that takes widths up to a limit and notes what is bound and run. */
function kernel(name: string, widest: number, log: string[]) {
  return defineCudaKernel<Args, Args, OperationPlan, number, string>({
    operation,
    problemOf: (args) => args,
    accepts: ({ width }) => width <= widest,
    keyOf: ({ width }) => ({ width }),
    plan: () => ({ launches: {}, workspaceBytes: 0 }),
    bind() {
      log.push(`bind ${name}`);
      return ({ rows, width }) => void log.push(`${name} ${rows}×${width}`);
    },
    traits: (width) => (width <= widest ? name : undefined),
  });
}

it('takes the first kernel that accepts, and binds once for each key', () => {
  const log: string[] = [];
  const table = new KernelTable([kernel('narrow', 8, log), kernel('wide', 64, log)], context);
  for (const [rows, width] of [
    [1, 8],
    [2, 8],
    [500, 8],
    [1, 9],
    [3, 8],
    [7, 9],
    [1, 4],
  ] as const) {
    table.run(operation, { rows, width }, call);
  }
  expect(log).toEqual([
    ...['bind narrow', 'narrow 1×8', 'narrow 2×8', 'narrow 500×8'],
    ...['bind wide', 'wide 1×9', 'narrow 3×8', 'wide 7×9', 'bind narrow', 'narrow 1×4'],
  ]);
  expect(table.traits(operation, 9)).toBe('wide');
  expect(table.traits(operation, 8)).toBe('narrow');
});

it('says which operation and which call nothing is there for', () => {
  const table = new KernelTable([kernel('narrow', 8, [])], context);
  const other = defineOperation<Args>({ name: 'other', reads: () => [], writes: () => [] });
  expect(() => table.run(other, { rows: 1, width: 1 }, call)).toThrow(
    /no kernel of other takes this call on sm_90/,
  );
  expect(() => table.run(operation, { rows: 1, width: 9 }, call)).toThrow(
    UnsupportedOperationError,
  );
});

it('binds kernels of this package in a way of their own', () => {
  const bound: string[] = [];
  const named = (name: string) => ({ ...context, name }) as BindContext;
  const noting = (isBuiltIn?: boolean) => ({
    ...kernel('any', 8, []),
    ...(isBuiltIn !== undefined && { isBuiltIn }),
    bind(on: BindContext) {
      bound.push((on as BindContext & { name: string }).name);
      return () => {};
    },
  });
  for (const isBuiltIn of [true, false, undefined]) {
    const table = new KernelTable([noting(isBuiltIn)], named('other'), named('own'));
    table.run(operation, { rows: 1, width: 1 }, call);
  }
  expect(bound).toEqual(['own', 'other', 'other']);
});
