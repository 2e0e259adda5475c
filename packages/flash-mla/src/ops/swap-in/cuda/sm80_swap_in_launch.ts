import { dtypeSize } from '@flash-mla/core';
import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { type SwapInArgs, swapInOperation } from '../operation.ts';
import { swapInSharedLayout } from './shared-layout.ts';
import { buildSwapIn, type SwapInConfig, type SwapInParams } from './sm80_swap_in.ts';

/** What kernel selection sees of a call. */
export interface SwapInKernelProblem extends SwapInConfig {
  readonly requests: number;
}

const spec: KernelSpec<SwapInConfig, SwapInParams> = { name: 'sm80_swap_in', build: buildSwapIn };

interface SwapInPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<SwapInConfig, SwapInParams> };
}

const intBytes = ({ dtype }: TensorView) => (dtype === 'i64' ? 8 : 4);

function configOf({ requests: _, ...config }: SwapInKernelProblem): SwapInConfig {
  return config;
}

/** Swap-in on every GPU. */
export const portableSwapIn = {
  operation: swapInOperation,
  problemOf({ topK, slotTokens, hostCache, seqLens, rows, blockSize }) {
    const [requests = 0, k = 0] = topK.shape;
    const [, pageSize = 1, heads = 1, columns = 0] = hostCache.shape;
    return {
      ...{ requests, topK: k, bufferSize: slotTokens.shape[1] ?? 0, pageSize, blockSize },
      rowBytes: heads * columns * dtypeSize(hostCache.dtype),
      ...{ lengthBytes: intBytes(seqLens), rowNumberBytes: intBytes(rows) },
    };
  },
  accepts: (problem: SwapInKernelProblem, limits: DeviceLimits) =>
    swapInSharedLayout(problem).bytes <= limits.maxSharedPerBlock,
  keyOf: (problem) => ({ ...configOf(problem) }),
  plan: (problem) => ({
    launches: {
      main: { kernel: spec, config: configOf(problem), grid: [problem.requests, 1, 1] },
    },
    workspaceBytes: 0,
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, { requests }, call) => {
      set.topK(context.address(args.topK));
      set.seqLens(context.address(args.seqLens));
      set.rows(context.address(args.rows));
      set.hostPages(context.address(args.hostPages));
      set.bufferPages(context.address(args.bufferPages));
      set.slotTokens(context.address(args.slotTokens));
      set.lruOrder(context.address(args.lruOrder));
      set.hostCache(context.address(args.hostCache));
      set.deviceCache(context.address(args.deviceCache));
      set.locations(context.address(args.locations));
      set.plannedHostRows(context.address(args.plannedHostRows));
      set.plannedDeviceRows(context.address(args.plannedDeviceRows));
      set.missCounts(context.address(args.missCounts));
      set.numRows(args.hostPages.shape[0] ?? 0);
      set.hostWidth(args.hostPages.shape[1] ?? 0);
      set.numHostPages(args.hostCache.shape[0] ?? 0);
      set.numDevicePages(args.deviceCache.shape[0] ?? 0);
      main.enqueue(call, [requests, 1, 1]);
    };
  },
} satisfies CudaKernel<SwapInArgs, SwapInKernelProblem, SwapInPlan>;
