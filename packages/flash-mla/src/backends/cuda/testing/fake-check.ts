import { defineKernel, global } from '@flash-mla/ptx';
import type { CheckArgs, CheckProblem, FamilyOperation, KernelSpec } from '../kernel-family.ts';
import type { FakeMemory } from './fake-driver.ts';

const params = {
  values: global('s32'),
  report: global('s32'),
  low: 's32',
  high: 's32',
  sequence: 'u32',
  count: 'u32',
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
  bind(context, _, { count }) {
    const launch = context.prepare(
      { kernel: checkSpec, config: {}, grid: [1, 1, 1] },
      { values: 0, report: 0, low: 0, high: 0, sequence: 0, count },
    );
    const names = ['low', 'high', 'sequence', 'report'] as const;
    const setters = names.map((name) => [name, launch.setter(name)] as const);
    const values = launch.setter('values');
    return (args) => {
      values(context.address(args.values));
      for (const [name, set] of setters) set(args[name]);
      launch.enqueue();
    };
  },
};

/** The check as the fake driver runs it. */
export function checkKernel(parameters: DataView, memory: FakeMemory): void {
  const address = (offset: number) => Number(parameters.getBigUint64(offset, true));
  const [low = 0, high = 0, sequence = 0, count = 0] = [16, 20, 24, 28].map((offset) =>
    parameters.getInt32(offset, true),
  );
  const words = (at: number, length: number) => {
    const bytes = memory.at(at, length * 4);
    return new Int32Array(bytes.buffer, bytes.byteOffset, length);
  };
  const values = words(address(0), count);
  const report = words(address(8), 4);
  const bad = values.findIndex((n, i) => n < low || n > high || n < (values[i - 1] ?? low));
  if (bad >= 0 && report[0] === 0) report.set([sequence, bad, values[bad] ?? 0]);
}
