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
import { type SampleTokensArgs, sampleTokensOperation } from '../operation.ts';
import { portableDrawTokens, restrictionsOfCall } from './draw_launch.ts';
import type { RestrictionConfig } from './restrictions.ts';
import {
  buildGreedyTokens,
  type GreedyConfig,
  type GreedyParams,
  partsOf,
} from './sm80_greedy_tokens.ts';

/** What kernel selection sees of a call. */
export interface GreedyProblem extends RestrictionConfig {
  readonly logits: RowsProblem;
  readonly rows: number;
  readonly vocabulary: number;
  /** Nothing is drawn, and no other tokens are reported. */
  readonly isGreedy: boolean;
}

const spec: KernelSpec<GreedyConfig, GreedyParams> = {
  name: 'sm80_greedy_tokens',
  build: buildGreedyTokens,
};

interface GreedyPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<GreedyConfig, GreedyParams> };
}

function configOf({ logits, vocabulary, rows: _, isGreedy: __, ...restrictions }: GreedyProblem) {
  const layout = layoutOf<RowDType>(logits);
  return { ...restrictions, logits: layout, wholeUnits: vocabulary % 8 === 0 } as GreedyConfig;
}

/** A part of a row leaves four numbers, if it is not the only one. */
const workspaceOf = (rows: number, parts: number) => (parts > 1 ? 16 * rows * parts : 0);

/** The likeliest tokens on every GPU. */
export const portableGreedyTokens = {
  operation: sampleTokensOperation,
  problemOf: (args) => ({
    ...{ rows: args.logits.shape[0] ?? 0, vocabulary: args.logits.shape[1] ?? 0 },
    isGreedy: args.temperature === undefined && args.topTokens === undefined,
    logits: rowsOf(args.logits),
    ...restrictionsOfCall(args),
  }),
  accepts: ({ isGreedy }) => isGreedy,
  keyOf(problem) {
    const { logits, ...others } = configOf(problem);
    return { ...others, logits: layoutKey(logits) };
  },
  plan(problem, limits) {
    const { rows, vocabulary } = problem;
    const { parts } = partsOf(rows, vocabulary, limits.smCount);
    const grid = [rows, parts, 1] as const;
    return {
      launches: { main: { kernel: spec, config: configOf(problem), grid, overlap: true } },
      workspaceBytes: workspaceOf(rows, parts),
    };
  },
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, { rows, vocabulary }, call) => {
      set.logits(context.address(args.logits));
      set.bias(context.address(args.bias));
      set.allowed(context.address(args.allowed));
      set.inSequence(context.address(args.inSequence));
      set.generated(context.address(args.generated));
      set.repetition(context.address(args.repetitionPenalty));
      set.presence(context.address(args.presencePenalty));
      set.frequency(context.address(args.frequencyPenalty));
      set.tokens(context.address(args.tokens));
      set.logprobs(context.address(args.logprobs));
      set.vocabulary(vocabulary);
      set.stride(strideBytes(args.logits));
      const { parts, perPart } = partsOf(rows, vocabulary, context.limits.smCount);
      set.perPart(perPart);
      set.partials(parts > 1 ? call.workspace(workspaceOf(rows, parts)) : 0);
      set.arrivals(parts > 1 ? call.counters(rows) : 0);
      main.enqueue(call, [rows, parts, 1]);
    };
  },
} satisfies CudaKernel<SampleTokensArgs, GreedyProblem, GreedyPlan>;

/** Tokens on every GPU, in the order of preference. */
export const samplingCudaKernels = [
  defineCudaKernel(portableGreedyTokens),
  defineCudaKernel(portableDrawTokens),
];
