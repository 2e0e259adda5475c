import { defineKernel, global } from '@flash-mla/ptx';
import { type CheckNumbersArgs, checkNumbers } from '../check-numbers.ts';
import {
  type CudaKernel,
  defineCudaKernel,
  type KernelSpec,
  type LaunchPlan,
  type OperationPlan,
} from '../kernel.ts';
import type { FakeMemory } from './fake-driver.ts';

const params = {
  values: global('s32'),
  report: global('s32'),
  counts: global('s32'),
  low: 's32',
  high: 's32',
  alsoAllowed: 's32',
  unit: 'u32',
  sequence: 'u32',
  rows: 'u32',
  columns: 'u32',
} as const;

/** Stands for a check kernel where nothing is executed: {@link checkKernel} is what it does. */
const checkSpec: KernelSpec<Record<never, never>, typeof params> = {
  name: 'fake_check',
  build: () => defineKernel({ name: 'fake_check', params, block: [32] }, () => {}),
};

const launch = { kernel: checkSpec, config: {}, grid: [1, 1, 1] } as const;

interface CheckPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<Record<never, never>, typeof params> };
}

export const fakeCheck = defineCudaKernel({
  operation: checkNumbers,
  problemOf: () => ({}),
  keyOf: () => ({}),
  plan: () => ({ launches: { main: launch }, workspaceBytes: 0 }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return ({ check, sequence, report }, _, call) => {
      const { shape } = check.values;
      const columns = shape.length > 1 ? (shape.at(-1) ?? 1) : 1;
      set.values(context.address(check.values));
      set.counts(context.address(check.counts));
      set.report(report);
      set.sequence(sequence);
      set.columns(columns);
      set.rows(shape.reduce((product, extent) => product * extent, 1) / columns);
      for (const name of ['low', 'high', 'alsoAllowed', 'unit'] as const) set[name](check[name]);
      main.enqueue(call, [1, 1, 1]);
    };
  },
} satisfies CudaKernel<CheckNumbersArgs, object, CheckPlan>);

/** The check as the fake driver runs it. */
export function checkKernel(parameters: DataView, memory: FakeMemory): void {
  const address = (offset: number) => Number(parameters.getBigUint64(offset, true));
  const [low = 0, high = 0, also = 0, unit = 1, sequence = 0, rows = 0, columns = 0] = [
    24, 28, 32, 36, 40, 44, 48,
  ].map((offset) => parameters.getInt32(offset, true));
  const words = (at: number, count: number) => {
    const bytes = memory.at(at, count * 4);
    return new Int32Array(bytes.buffer, bytes.byteOffset, count);
  };
  const values = words(address(0), rows * columns);
  const counts = address(16) === 0 ? undefined : words(address(16), rows);
  const report = words(address(8), 4);
  for (let i = 0; i < values.length; i++) {
    const row = Math.floor(i / columns);
    const used = counts ? Math.ceil(Math.max(0, counts[row] ?? 0) / unit) : columns;
    const value = values[i] ?? 0;
    const isGood = (value >= low && value <= high) || value === also;
    if (isGood || i % columns >= used || report[0] !== 0) continue;
    report.set([sequence, i, value]);
  }
}
