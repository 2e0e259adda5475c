import { defineKernel, global } from '@flash-mla/ptx';
import type { DenseDecodeArgs } from '../../../ops/attention/contract.ts';
import { denseDecode } from '../../../ops/attention/operations.ts';
import type { DecodeShape, SchedulePlan } from '../../../ops/attention/schedule-contract.ts';
import {
  type AnyCudaKernel,
  type CudaKernel,
  defineCudaKernel,
  type KernelFamily,
  type KernelSpec,
  type LaunchPlan,
  type OperationPlan,
} from '../kernel.ts';

const params = { source: global('u32'), target: global('u32'), words: 'u32' } as const;

/** A kernel that copies words: enough to follow launches, parameters and results. */
export const copySpec: KernelSpec<{ readonly threads: number }, typeof params> = {
  name: 'fake_copy',
  build: ({ threads }) =>
    defineKernel(
      { name: 'fake_copy', params, block: [threads] },
      (k, { source, target, words }) => {
        const i = k.mad(k.blockIdx.x, k.blockDim.x, k.threadIdx.x);
        k.if(i.lt(words), () => target.at(i).store(source.at(i).load()));
      },
    ),
};

interface CopyPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<{ readonly threads: number }, typeof params> };
}

interface CopyProblem {
  readonly batch: number;
}

const workspaceBytes = 1024;

/** A dense decode that copies the words of `q` to `out`, by way of nothing. */
export const fakeDecode = defineCudaKernel({
  operation: denseDecode,
  problemOf: ({ q }) => ({ batch: q.shape[0] ?? 0 }),
  keyOf: () => ({}),
  plan: ({ batch }) => ({
    launches: { main: { kernel: copySpec, config: { threads: 128 }, grid: [batch, 1, 1] } },
    workspaceBytes,
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    return ({ q, out }, { batch }, call) => {
      call.workspace(workspaceBytes);
      main.set.source(context.address(q));
      main.set.target(context.address(out));
      main.set.words(128);
      main.enqueue(call, [batch, 1, 1]);
    };
  },
} satisfies CudaKernel<DenseDecodeArgs, CopyProblem, CopyPlan, DecodeShape, SchedulePlan>);

/** The same behaviour for the fake driver, which runs no programs. */
export function copyKernel(parameters: DataView, memory: { at(a: number, n: number): Uint8Array }) {
  const source = Number(parameters.getBigUint64(0, true));
  const target = Number(parameters.getBigUint64(8, true));
  const bytes = parameters.getUint32(16, true) * 4;
  memory.at(target, bytes).set(memory.at(source, bytes));
}

/** A family of these kernels, for every GPU that is supported at all. */
export function fakeFamilies(kernels: readonly AnyCudaKernel[] = [fakeDecode]): KernelFamily[] {
  return [{ name: 'fake', from: 80, load: async () => kernels }];
}
