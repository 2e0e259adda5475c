import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import { type MqaLogitsArgs, mqaLogitsOperation } from '../operations.ts';
import { chunkOf } from './logits-chunk.ts';
import {
  buildMqaLogits,
  logitsWarps,
  type MqaLogitsConfig,
  type MqaLogitsParams,
} from './sm80_mqa_logits.ts';

/** What kernel selection sees of a call. */
export interface MqaLogitsKernelProblem extends MqaLogitsConfig {
  readonly rows: number;
  readonly columns: number;
}

const spec: KernelSpec<MqaLogitsConfig, MqaLogitsParams> = {
  name: 'sm80_mqa_logits',
  build: buildMqaLogits,
};

interface MqaLogitsPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<MqaLogitsConfig, MqaLogitsParams> };
}

const configOf = ({ rows: _, columns: __, ...config }: MqaLogitsKernelProblem) => config;

/** Tokens that all warps of a CTA take at once. */
const unit = 16 * logitsWarps;
/** CTAs that run on an SM at a time, and that a CTA should at least compute. */
const [ctasPerSm, leastChunk] = [3, 4 * unit];
const mostRows = 65_535;

function gridOf(problem: MqaLogitsKernelProblem, { smCount }: DeviceLimits) {
  const { rows, columns, queries } = problem;
  const groups = Math.ceil(rows / queries);
  const slots = smCount * ctasPerSm;
  const chunk = chunkOf({ groups, columns, slots, unit, least: leastChunk });
  return { chunk, grid: [Math.ceil(columns / chunk), groups, 1] as const };
}

/** Logits of the indexer on every GPU. */
export const portableMqaLogits = {
  operation: mqaLogitsOperation,
  problemOf({ q, keys, queriesPerRequest, cleanLogits, logits }) {
    return {
      ...{ rows: q.shape[0] ?? 0, heads: q.shape[1] ?? 0, columns: logits.shape[1] ?? 0 },
      ...{ paged: keys.kind === 'paged', cleanLogits, queries: queriesPerRequest < 4 ? 1 : 4 },
    };
  },
  accepts: ({ rows, queries }) => Math.ceil(rows / queries) <= mostRows,
  keyOf: (problem) => ({ ...configOf(problem) }),
  plan: (problem, limits) => ({
    launches: {
      main: { kernel: spec, config: configOf(problem), grid: gridOf(problem, limits).grid },
    },
    workspaceBytes: 0,
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, problem, call) => {
      const { keys } = args;
      const { chunk, grid } = gridOf(problem, context.limits);
      set.q(context.address(args.q));
      set.weights(context.address(args.weights));
      set.ends(context.address(args.ends));
      set.logits(context.address(args.logits));
      set.rows(problem.rows);
      set.queriesPerRequest(args.queriesPerRequest);
      set.chunk(chunk);
      set.columns(problem.columns);
      set.logitsStride(args.logits.strides[0] ?? 0);
      if (keys.kind === 'paged') {
        set.keys(context.address(keys.cache));
        set.blockTable(context.address(keys.blockTable));
        set.numPages(keys.cache.shape[0] ?? 0);
        set.pageSize(keys.cache.shape[1] ?? 0);
        set.tableStride(keys.blockTable.strides[0] ?? 0);
      } else {
        set.keys(context.address(keys.keys));
        set.scales(context.address(keys.scales));
        set.starts(context.address(keys.starts));
      }
      main.enqueue(call, grid);
    };
  },
} satisfies CudaKernel<MqaLogitsArgs, MqaLogitsKernelProblem, MqaLogitsPlan>;
