import { dtypeSize } from '@flash-mla/core';
import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import { type CopyRowsArgs, copyRowsOperation } from '../copy-rows-operation.ts';
import {
  buildCopyRows,
  type CopyRowsConfig,
  type CopyRowsParams,
  copyRowsAhead,
  copyRowsThreads,
} from './sm80_copy_rows.ts';

/** What kernel selection sees of a call. */
export interface CopyRowsProblem extends CopyRowsConfig {
  readonly requests: number;
  readonly most: number;
}

const spec: KernelSpec<CopyRowsConfig, CopyRowsParams> = {
  name: 'sm80_copy_rows',
  build: buildCopyRows,
};

interface CopyRowsPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<CopyRowsConfig, CopyRowsParams> };
}

/** CTAs that share the work at most: with more, none of them has enough to do. */
const mostCtas = 512;

/** CTAs of a request: each thread has one round of copies, if there are not too many. */
function partsOf({ requests, most, rowBytes }: CopyRowsProblem): number {
  const rounds = Math.ceil((most * (rowBytes / 16)) / (copyRowsThreads * copyRowsAhead));
  return Math.max(1, Math.min(rounds, Math.floor(mostCtas / requests)));
}

/** Copies of rows on every GPU. */
export const portableCopyRows = {
  operation: copyRowsOperation,
  problemOf: ({ source, sourceRows, counts }) => ({
    requests: sourceRows.shape[0] ?? 0,
    most: sourceRows.shape[1] ?? 0,
    rowBytes: (source.shape[3] ?? 0) * dtypeSize(source.dtype),
    counted: counts !== undefined,
  }),
  accepts: () => true,
  keyOf: ({ rowBytes, counted }) => ({ rowBytes, counted }),
  plan: (problem) => ({
    launches: {
      main: {
        kernel: spec,
        config: { rowBytes: problem.rowBytes, counted: problem.counted },
        grid: [problem.requests, partsOf(problem), 1],
      },
    },
    workspaceBytes: 0,
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, problem, call) => {
      const parts = partsOf(problem);
      const { source, target, sourceRows, targetRows, counts } = args;
      set.source(context.address(source));
      set.target(context.address(target));
      set.sourceRows(context.address(sourceRows));
      set.targetRows(context.address(targetRows));
      set.counts(context.address(counts ?? sourceRows));
      set.most(problem.most);
      set.numSourceRows((source.shape[0] ?? 0) * (source.shape[1] ?? 0));
      set.numTargetRows((target.shape[0] ?? 0) * (target.shape[1] ?? 0));
      set.parts(parts);
      main.enqueue(call, [problem.requests, parts, 1]);
    };
  },
} satisfies CudaKernel<CopyRowsArgs, CopyRowsProblem, CopyRowsPlan>;
