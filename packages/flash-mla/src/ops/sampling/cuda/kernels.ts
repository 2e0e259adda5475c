import {
  type CudaKernel,
  defineCudaKernel,
  type KernelSpec,
  type LaunchPlan,
  type OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import { type SampleTokensArgs, sampleTokensOperation } from '../operation.ts';
import { portableDrawTokens, restrictionsOfCall } from './draw_launch.ts';
import { buildGreedyTokens, type GreedyConfig, type GreedyParams } from './sm80_greedy_tokens.ts';

/** What kernel selection sees of a call. */
export interface GreedyProblem extends GreedyConfig {
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

const configOf = ({ rows: _, vocabulary: __, isGreedy: ___, ...config }: GreedyProblem) => config;

/** The likeliest tokens on every GPU. */
export const portableGreedyTokens = {
  operation: sampleTokensOperation,
  problemOf: (args) => ({
    ...{ rows: args.logits.shape[0] ?? 0, vocabulary: args.logits.shape[1] ?? 0 },
    isGreedy: args.temperature === undefined && args.topTokens === undefined,
    logits: args.logits.dtype as RowDType,
    ...restrictionsOfCall(args),
  }),
  accepts: ({ isGreedy }) => isGreedy,
  keyOf: (problem) => ({ ...configOf(problem) }),
  plan: (problem) => ({
    launches: {
      main: { kernel: spec, config: configOf(problem), grid: [problem.rows, 1, 1], overlap: true },
    },
    workspaceBytes: 0,
  }),
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
      main.enqueue(call, [rows, 1, 1]);
    };
  },
} satisfies CudaKernel<SampleTokensArgs, GreedyProblem, GreedyPlan>;

/** Tokens on every GPU, in the order of preference. */
export const samplingCudaKernels = [
  defineCudaKernel(portableGreedyTokens),
  defineCudaKernel(portableDrawTokens),
];
