import { defineKernel, global } from '@flash-mla/ptx';
import { type CheckNumbersArgs, checkNumbers } from '../debug/check-numbers.ts';
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
      set.values(context.address(check.values));
      set.count(check.values.shape[0] ?? 0);
      set.low(check.low);
      set.high(check.high);
      set.sequence(sequence);
      set.report(report);
      main.enqueue(call, [1, 1, 1]);
    };
  },
} satisfies CudaKernel<CheckNumbersArgs, object, CheckPlan>);

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
