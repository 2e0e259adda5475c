import {
  addressOf,
  elementCode,
  extentOf,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { sampleTokensOperation } from '../operation.ts';

/** See assembly/sampling/sample-tokens.ts. */
export const samplingCpuKernels = [
  defineCpuKernel({
    operation: sampleTokensOperation,
    command({ workers }, args) {
      const { logits } = args;
      const vocabulary = extentOf(logits, 1);
      // Of each token its logit (f32), its score (f64) and its place in a heap (i32).
      const scratchBytes = Math.ceil(vocabulary / 4) * 64;
      return {
        operation: 'sampleTokens',
        workspaceBytes: workers * scratchBytes,
        arguments: [
          ...[scratchBytes, extentOf(logits, 0), vocabulary],
          ...[elementCode(logits.dtype), addressOf(logits), strideOf(logits, 0)],
          ...[args.temperature, args.topK, args.topP, args.minP].map(addressOf),
          ...[args.seeds, args.positions, args.bias, args.allowed].map(addressOf),
          ...[args.inSequence, args.generated, args.repetitionPenalty].map(addressOf),
          ...[args.presencePenalty, args.frequencyPenalty].map(addressOf),
          ...[args.tokens, args.logprobs, args.topTokens, args.topLogprobs].map(addressOf),
          args.topTokens ? extentOf(args.topTokens, 1) : 0,
        ],
      };
    },
  }),
];
