import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import { indexDim } from '../limits.ts';
import { type IndexRowsArgs, indexRowsOperation } from '../operations.ts';
import {
  buildIndexRows,
  type IndexRowsConfig,
  type IndexRowsParams,
  indexRowsCtas,
} from './sm80_index_rows.ts';

/** What kernel selection sees of a call. */
export interface IndexRowsKernelProblem extends IndexRowsConfig {
  readonly vectors: number;
}

const spec: KernelSpec<IndexRowsConfig, IndexRowsParams> = {
  name: 'sm80_index_rows',
  build: buildIndexRows,
};

interface IndexRowsPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<IndexRowsConfig, IndexRowsParams> };
}

const configOf = ({ vectors: _, ...config }: IndexRowsKernelProblem): IndexRowsConfig => config;

/** Index queries and keys on every GPU. */
export const portableIndexRows = {
  operation: indexRowsOperation,
  problemOf({ x, target, interleaved, hadamard }) {
    const [rows = 0, heads = 0] = x.shape;
    const weights = target.kind === 'queries' ? target.weights : target.normWeight;
    return {
      ...{ vectors: rows * heads, kind: target.kind, interleaved, hadamard },
      ...{ x: x.dtype as RowDType, weights: weights.dtype as RowDType },
    };
  },
  accepts: ({ vectors }) => vectors < 2 ** 31,
  keyOf: (problem) => ({ ...configOf(problem) }),
  plan: (problem) => {
    const grid = [indexRowsCtas(problem.vectors), 1, 1] as const;
    return {
      launches: { main: { kernel: spec, config: configOf(problem), grid } },
      workspaceBytes: 0,
    };
  },
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, { vectors }, call) => {
      const { x, target } = args;
      const heads = x.shape[1] ?? 1;
      set.x(context.address(x));
      set.cos(context.address(args.cos));
      set.sin(context.address(args.sin));
      set.positions(context.address(args.positions));
      set.vectors(vectors);
      set.heads(heads);
      set.known(args.cos.shape[0] ?? 0);
      set.xStride(strideBytes(x, 0));
      set.xHeadStride(strideBytes(x, 1));
      if (target.kind === 'queries') {
        set.weights(context.address(target.weights));
        set.weightsStride(strideBytes(target.weights));
        set.out(context.address(target.out));
        set.outWeights(context.address(target.outWeights));
        set.weightScale(1 / Math.sqrt(heads * indexDim));
      } else {
        const [pages = 0, pageSize = 0] = target.cache.shape;
        set.weights(context.address(target.normWeight));
        set.bias(context.address(target.normBias));
        set.slots(context.address(target.slots));
        set.out(context.address(target.cache));
        set.pageSize(pageSize);
        set.capacity(pages * pageSize);
        set.eps(target.eps);
      }
      main.enqueue(call, [indexRowsCtas(vectors), 1, 1]);
    };
  },
} satisfies CudaKernel<IndexRowsArgs, IndexRowsKernelProblem, IndexRowsPlan>;
