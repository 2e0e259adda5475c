import { defineKernel, global } from '@flash-mla/ptx';
import type { CheckArgs, CheckProblem, FamilyOperation, KernelSpec } from '../kernel-family.ts';
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

export const fakeCheck: FamilyOperation<CheckProblem, CheckArgs> = {
  plan: () => ({
    launches: { main: { kernel: checkSpec, config: {}, grid: [1, 1, 1] } },
    workspaceBytes: 0,
  }),
  bind(context, _, { shape }) {
    const columns = shape.length > 1 ? (shape.at(-1) ?? 1) : 1;
    const rows = shape.reduce((product, extent) => product * extent, 1) / columns;
    const launch = context.prepare(
      { kernel: checkSpec, config: {}, grid: [1, 1, 1] },
      {
        values: 0,
        report: 0,
        counts: 0,
        low: 0,
        high: 0,
        alsoAllowed: 0,
        unit: 1,
        sequence: 0,
        rows,
        columns,
      },
    );
    const names = ['low', 'high', 'alsoAllowed', 'unit', 'sequence', 'report'] as const;
    const setters = names.map((name) => [name, launch.setter(name)] as const);
    const values = launch.setter('values');
    const counts = launch.setter('counts');
    return (args) => {
      values(context.address(args.values));
      counts(context.address(args.counts));
      for (const [name, set] of setters) set(args[name]);
      launch.enqueue();
    };
  },
};

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
