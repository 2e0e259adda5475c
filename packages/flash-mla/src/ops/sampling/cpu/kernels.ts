import { addressOf, extentOf, rowsOf } from '../../../runtime/cpu/commands/address.ts';
import { commandOf } from '../../../runtime/cpu/commands/command.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { sampleTokensOperation } from '../operation.ts';
import { sampleTokens } from './descriptors.ts';

/** See assembly/sampling/sample-tokens.ts. */
export const samplingCpuKernels = [
  defineCpuKernel({
    operation: sampleTokensOperation,
    command({ workers }, args) {
      const vocabulary = extentOf(args.logits, 1);
      // Of each token its logit (f32), its score (f64) and its place in a heap (i32).
      const scratchBytes = Math.ceil(vocabulary / 4) * 64;
      return commandOf(
        sampleTokens,
        {
          scratchBytes,
          numRows: extentOf(args.logits, 0),
          vocabulary,
          logits: rowsOf(args.logits),
          temperature: addressOf(args.temperature),
          topK: addressOf(args.topK),
          topP: addressOf(args.topP),
          minP: addressOf(args.minP),
          seeds: addressOf(args.seeds),
          positions: addressOf(args.positions),
          bias: addressOf(args.bias),
          allowed: addressOf(args.allowed),
          inSequence: addressOf(args.inSequence),
          generated: addressOf(args.generated),
          repetitionPenalty: addressOf(args.repetitionPenalty),
          presencePenalty: addressOf(args.presencePenalty),
          frequencyPenalty: addressOf(args.frequencyPenalty),
          tokens: addressOf(args.tokens),
          logprobs: addressOf(args.logprobs),
          topTokens: addressOf(args.topTokens),
          topLogprobs: addressOf(args.topLogprobs),
          numTop: args.topTokens ? extentOf(args.topTokens, 1) : 0,
        },
        { workspaceBytes: workers * scratchBytes },
      );
    },
  }),
];
