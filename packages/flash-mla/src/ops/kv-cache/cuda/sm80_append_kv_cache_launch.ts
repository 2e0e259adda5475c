import { dtypeSize } from '@flash-mla/core';
import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import { asAlignment } from '../../kernel-lib/cuda/sm80/copy.ts';
import type { AppendArgs } from '../contract.ts';
import { appendRows } from '../operations.ts';
import { type AppendConfig, type AppendParams, appendCtas } from './append/config.ts';
import { appendProblem } from './problem-of.ts';
import type { AppendProblem } from './problems.ts';
import { buildAppendKvCache } from './sm80_append_kv_cache.ts';

export const appendSpec: KernelSpec<AppendConfig, AppendParams> = {
  name: 'sm80_append_kv_cache',
  build: buildAppendKvCache,
};

interface AppendPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<AppendConfig, AppendParams> };
}

function configOf(problem: AppendProblem): AppendConfig {
  const { layout, columns, rowDtype, numHeads, slotBytes, rows, kCache } = problem;
  return {
    layout,
    rowBytes: columns * dtypeSize(rowDtype),
    numHeads,
    slotBytes,
    cacheAlignment: asAlignment(kCache.alignment),
    rowAlignment: asAlignment(rows.alignment),
  };
}

const gridOf = ({ numRows, numHeads }: AppendProblem) =>
  [appendCtas(numRows * numHeads), 1, 1] as const;

/** Rows → the tokens of a paged cache that slots name. */
export const portableAppend = {
  operation: appendRows,
  problemOf: appendProblem,
  keyOf: (problem) => ({ ...configOf(problem) }),

  plan: (problem) => ({
    launches: {
      main: { kernel: appendSpec, config: configOf(problem), grid: gridOf(problem) },
    },
    workspaceBytes: 0,
  }),

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, problem, call) => {
      const { layout, numRows, numHeads, numBlocks, pageSize, rows, kCache } = problem;
      const rowBytes = dtypeSize(problem.rowDtype);
      const cacheBytes = layout === 'plain' ? rowBytes : 1;
      const [blockStride = 0, tokenStride = 0, headStride = 0] = kCache.strides;
      const [rowStride = 0, rowHeadStride = 0] = rows.strides;
      set.cache(context.address(args.kCache));
      set.rows(context.address(args.rows));
      set.slots(context.address(args.slots));
      set.count(numRows * numHeads);
      set.pageSize(pageSize);
      set.capacity(numBlocks * pageSize);
      set.blockStride(blockStride * cacheBytes);
      set.tokenStride(tokenStride * cacheBytes);
      set.headStride(headStride * cacheBytes);
      set.rowStride(rowStride * rowBytes);
      set.rowHeadStride(rowHeadStride * rowBytes);
      main.enqueue(call, gridOf(problem));
    };
  },
} satisfies CudaKernel<AppendArgs, AppendProblem, AppendPlan>;
