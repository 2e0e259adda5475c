import {
  type CudaKernel,
  defineCudaKernel,
  type KernelSpec,
  type LaunchPlan,
  type OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import {
  layoutKey,
  layoutOf,
  type RowsProblem,
  rowsOf,
  strideBytes,
} from '../../kernel-lib/cuda/rows/problem.ts';
import { type AppendLatentsArgs, appendLatentsOperation } from '../operation.ts';
import {
  type AppendLatentsConfig,
  type AppendLatentsParams,
  buildAppendLatents,
} from './sm80_append_latents.ts';

/** What kernel selection sees of a call. */
export interface AppendLatentsProblem
  extends Omit<AppendLatentsConfig, 'latents' | 'weight' | 'cache'> {
  readonly rows: number;
  readonly latents: RowsProblem;
  readonly weight: RowsProblem;
  readonly cache: RowsProblem;
}

const spec: KernelSpec<AppendLatentsConfig, AppendLatentsParams> = {
  name: 'sm80_append_latents',
  build: buildAppendLatents,
};

interface AppendLatentsPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<AppendLatentsConfig, AppendLatentsParams> };
}

function configOf({ rows: _, ...problem }: AppendLatentsProblem): AppendLatentsConfig {
  const { latents, weight, cache } = problem;
  return {
    ...problem,
    ...{ latents: layoutOf(latents), weight: layoutOf(weight), cache: layoutOf(cache) },
  };
}

/** Latents to the cache and rotated queries, on every GPU. */
export const portableAppendLatents = {
  operation: appendLatentsOperation,
  problemOf({ latents, weight, queries, rotatedQueries, kCache, positions, interleaved }) {
    const [rows = 0, heads = 0, rope = 0] = queries.shape;
    return {
      ...{ rows, heads, rope, latent: weight.shape[0] ?? 0, interleaved },
      ...{ latents: rowsOf(latents), weight: rowsOf(weight), cache: rowsOf(kCache) },
      queries: queries.dtype as RowDType,
      rotated: rotatedQueries.dtype as RowDType,
      hasPositions: positions !== undefined,
    };
  },
  keyOf(problem) {
    const { latents, weight, cache, ...others } = configOf(problem);
    return {
      ...others,
      ...{ latents: layoutKey(latents), weight: layoutKey(weight), cache: layoutKey(cache) },
    };
  },
  plan: (problem) => ({
    launches: {
      main: { kernel: spec, config: configOf(problem), grid: [problem.rows, 1, 1], overlap: true },
    },
    workspaceBytes: 0,
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, { rows }, call) => {
      const { latents, queries, rotatedQueries, kCache } = args;
      const [blocks = 0, pageSize = 0] = kCache.shape;
      set.latents(context.address(latents));
      set.weight(context.address(args.weight));
      set.cos(context.address(args.cos));
      set.sin(context.address(args.sin));
      set.positions(context.address(args.positions));
      set.queries(context.address(queries));
      set.rotated(context.address(rotatedQueries));
      set.cache(context.address(kCache));
      set.slots(context.address(args.slots));
      set.eps(args.eps);
      set.known(args.cos.shape[0] ?? 0);
      set.pageSize(pageSize);
      set.capacity(blocks * pageSize);
      set.latentStride(strideBytes(latents));
      set.queryStride(strideBytes(queries, 0));
      set.queryHeadStride(strideBytes(queries, 1));
      set.rotatedStride(strideBytes(rotatedQueries, 0));
      set.rotatedHeadStride(strideBytes(rotatedQueries, 1));
      set.blockStride(strideBytes(kCache, 0));
      set.tokenStride(strideBytes(kCache, 1));
      main.enqueue(call, [rows, 1, 1]);
    };
  },
} satisfies CudaKernel<AppendLatentsArgs, AppendLatentsProblem, AppendLatentsPlan>;

export const latentCudaKernels = [defineCudaKernel(portableAppendLatents)];
