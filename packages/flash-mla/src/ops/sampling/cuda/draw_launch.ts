import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import { type SampleTokensArgs, sampleTokensOperation } from '../operation.ts';
import type { RestrictionConfig } from './restrictions.ts';
import {
  buildDrawTokens,
  type DrawConfig,
  type DrawParams,
  mostVocabulary,
} from './sm80_draw_tokens.ts';

/** What kernel selection sees of a call. */
export interface DrawProblem extends DrawConfig {
  readonly rows: number;
  readonly vocabulary: number;
}

const spec: KernelSpec<DrawConfig, DrawParams> = {
  name: 'sm80_draw_tokens',
  build: buildDrawTokens,
};

interface DrawPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<DrawConfig, DrawParams> };
}

const configOf = ({ rows: _, vocabulary: __, ...config }: DrawProblem): DrawConfig => config;
const workspaceOf = ({ rows, vocabulary }: DrawProblem) => 4 * rows * vocabulary;

/** Which restrictions a call has. */
export function restrictionsOfCall(args: SampleTokensArgs): RestrictionConfig {
  return {
    ...{ hasBias: args.bias !== undefined, hasAllowed: args.allowed !== undefined },
    // Bits and counts mean something only together with their penalties.
    hasInSequence: args.inSequence !== undefined && args.repetitionPenalty !== undefined,
    hasRepetition: args.repetitionPenalty !== undefined,
    hasGenerated: args.generated !== undefined,
    ...{ hasPresence: args.presencePenalty !== undefined },
    hasFrequency: args.frequencyPenalty !== undefined,
  };
}

/** Tokens that are drawn, and the likeliest ones with their log-probabilities, on every GPU. */
export const portableDrawTokens = {
  operation: sampleTokensOperation,
  problemOf: (args) => ({
    ...{ rows: args.logits.shape[0] ?? 0, vocabulary: args.logits.shape[1] ?? 0 },
    logits: args.logits.dtype as RowDType,
    ...restrictionsOfCall(args),
    ...{ hasTemperature: args.temperature !== undefined, hasTopK: args.topK !== undefined },
    ...{ hasTopP: args.topP !== undefined, hasMinP: args.minP !== undefined },
    hasTop: args.topTokens !== undefined,
  }),
  accepts: ({ vocabulary }) => vocabulary <= mostVocabulary,
  keyOf: (problem) => ({ ...configOf(problem) }),
  plan: (problem) => ({
    launches: {
      main: { kernel: spec, config: configOf(problem), grid: [problem.rows, 1, 1], overlap: true },
    },
    workspaceBytes: workspaceOf(problem),
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, problem, call) => {
      set.logits(context.address(args.logits));
      set.temperature(context.address(args.temperature));
      set.topK(context.address(args.topK));
      set.topP(context.address(args.topP));
      set.minP(context.address(args.minP));
      set.seeds(context.address(args.seeds));
      set.positions(context.address(args.positions));
      set.bias(context.address(args.bias));
      set.allowed(context.address(args.allowed));
      set.inSequence(context.address(args.inSequence));
      set.generated(context.address(args.generated));
      set.repetition(context.address(args.repetitionPenalty));
      set.presence(context.address(args.presencePenalty));
      set.frequency(context.address(args.frequencyPenalty));
      set.tokens(context.address(args.tokens));
      set.logprobs(context.address(args.logprobs));
      set.topTokens(context.address(args.topTokens));
      set.topLogprobs(context.address(args.topLogprobs));
      set.numTop(args.topTokens?.shape[1] ?? 0);
      set.vocabulary(problem.vocabulary);
      set.stride(strideBytes(args.logits));
      set.keys(call.workspace(workspaceOf(problem)));
      main.enqueue(call, [problem.rows, 1, 1]);
    };
  },
} satisfies CudaKernel<SampleTokensArgs, DrawProblem, DrawPlan>;
