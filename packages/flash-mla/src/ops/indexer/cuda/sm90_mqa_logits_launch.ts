import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import { indexDim, indexTokenBytes } from '../limits.ts';
import { type MqaLogitsArgs, mqaLogitsOperation } from '../operations.ts';
import { chunkOf } from './logits-chunk.ts';
import {
  buildHopperLogits,
  type HopperLogitsConfig,
  type HopperLogitsParams,
  tileKeys,
} from './sm90_mqa_logits.ts';

/** What kernel selection sees of a call. */
export interface HopperLogitsProblem extends HopperLogitsConfig {
  readonly requests: number;
  readonly queriesPerRequest: number;
  readonly columns: number;
  /** 0: keys are not paged, or there are no pages. */
  readonly pageSize: number;
}

const spec: KernelSpec<HopperLogitsConfig, HopperLogitsParams> = {
  name: 'sm90_mqa_logits',
  architectureSpecific: true,
  build: buildHopperLogits,
};

interface HopperLogitsPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<HopperLogitsConfig, HopperLogitsParams> };
}

const configOf = ({ heads, cleanLogits, queries }: HopperLogitsProblem): HopperLogitsConfig => ({
  ...{ heads, cleanLogits, queries },
});

/** The grid's extent along y ends here. */
const mostGroups = 65_535;

function groupsOf({ requests, queriesPerRequest, queries }: HopperLogitsProblem): number {
  return requests * Math.ceil(queriesPerRequest / queries);
}

function gridOf(problem: HopperLogitsProblem, { smCount }: DeviceLimits) {
  const { columns, queries } = problem;
  const groups = groupsOf(problem);
  // CTAs that run on an SM at a time.
  const slots = smCount * (queries === 1 ? 3 : 1);
  const chunk = chunkOf({ groups, columns, slots, unit: tileKeys, least: 4 * tileKeys });
  return { chunk, grid: [Math.ceil(columns / chunk), groups, 1] as const };
}

/** Logits of paged keys by products of warp groups. */
export const hopperMqaLogits = {
  operation: mqaLogitsOperation,
  problemOf({ q, keys, queriesPerRequest, cleanLogits, logits }) {
    return {
      ...{ requests: (q.shape[0] ?? 0) / queriesPerRequest, queriesPerRequest, cleanLogits },
      ...{ heads: q.shape[1] ?? 0, columns: logits.shape[1] ?? 0 },
      pageSize:
        keys.kind === 'paged' && (keys.cache.shape[0] ?? 0) > 0 ? (keys.cache.shape[1] ?? 0) : 0,
      queries: queriesPerRequest < 4 ? 1 : 4,
    };
  },
  accepts: (problem: HopperLogitsProblem) =>
    problem.pageSize > 0 && problem.pageSize % tileKeys === 0 && groupsOf(problem) <= mostGroups,
  keyOf: (problem) => ({ ...configOf(problem) }),
  plan: (problem, limits) => ({
    launches: {
      main: {
        ...{ kernel: spec, config: configOf(problem), grid: gridOf(problem, limits).grid },
        overlap: true,
      },
    },
    workspaceBytes: 0,
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, problem, call) => {
      const { keys } = args;
      if (keys.kind !== 'paged') throw new Error('keys that are not paged have another kernel');
      const { chunk, grid } = gridOf(problem, context.limits);
      const [numPages = 0, pageSize = 0] = keys.cache.shape;
      set.keys({
        element: 'e4m3',
        address: context.address(keys.cache),
        dims: [indexDim, pageSize, numPages],
        strides: [indexDim, pageSize * indexTokenBytes],
        box: [indexDim, tileKeys, 1],
        swizzle: '128B',
      });
      set.cache(context.address(keys.cache));
      set.q(context.address(args.q));
      set.weights(context.address(args.weights));
      set.blockTable(context.address(keys.blockTable));
      set.ends(context.address(args.ends));
      set.logits(context.address(args.logits));
      set.queriesPerRequest(problem.queriesPerRequest);
      set.pageSize(pageSize);
      set.numPages(numPages);
      set.chunk(chunk);
      set.columns(problem.columns);
      set.logitsStride(args.logits.strides[0] ?? 0);
      set.tableStride(keys.blockTable.strides[0] ?? 0);
      main.enqueue(call, grid);
    };
  },
} satisfies CudaKernel<MqaLogitsArgs, HopperLogitsProblem, HopperLogitsPlan>;
