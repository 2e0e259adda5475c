import { defineKernel, global } from '@flash-mla/ptx';
import type { DenseDecodeArgs } from '../../backend.ts';
import type {
  DecodeOperation,
  FamilyEntry,
  KernelFamily,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../kernel-family.ts';
import type { DenseDecodeProblem } from '../problems.ts';

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

/** A dense decode that copies the words of `q` to `out`, by way of nothing. */
const denseDecode: DecodeOperation<DenseDecodeProblem, DenseDecodeArgs> = {
  tiling: () => ({ rowsPerTile: 64, ctasPerSm: 1 }),
  plan: ({ batch }): CopyPlan => ({
    launches: { main: { kernel: copySpec, config: { threads: 128 }, grid: [batch, 1, 1] } },
    workspaceBytes: 1024,
  }),
  bind(context, plan) {
    const main = context.prepare((plan as CopyPlan).launches.main, {
      source: 0,
      target: 0,
      words: 128,
    });
    const source = main.setter('source');
    const target = main.setter('target');
    return ({ q, out }) => {
      context.workspace(plan.workspaceBytes);
      source(context.address(q));
      target(context.address(out));
      main.enqueue();
    };
  },
};

export const fakeFamily: KernelFamily = { name: 'fake', denseDecode };

/** The same behaviour for the fake driver, which runs no programs. */
export function copyKernel(parameters: DataView, memory: { at(a: number, n: number): Uint8Array }) {
  const source = Number(parameters.getBigUint64(0, true));
  const target = Number(parameters.getBigUint64(8, true));
  const bytes = parameters.getUint32(16, true) * 4;
  memory.at(target, bytes).set(memory.at(source, bytes));
}

export const fakeEntries: readonly FamilyEntry[] = [
  { name: 'fake', from: 80, load: async () => fakeFamily },
];
