import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Arguments of a call of {@link sampleTokensOperation}, checked. Vectors are contiguous. */
export interface SampleTokensArgs {
  /** bf16 or f32 (rows, vocabulary), rows may be apart. */
  readonly logits: TensorView;
  /** f32 (rows); i32 (rows) for `topK`. Absent: off, or for `temperature` greedy. */
  readonly temperature: TensorView | undefined;
  readonly topK: TensorView | undefined;
  readonly topP: TensorView | undefined;
  readonly minP: TensorView | undefined;
  /** i64 (rows) and i32 (rows): what is drawn depends on these. */
  readonly seeds: TensorView | undefined;
  readonly positions: TensorView | undefined;
  /** f32 (rows, vocabulary), contiguous. */
  readonly bias: TensorView | undefined;
  /** i32 (rows, ⌈vocabulary / 32⌉), contiguous: a bit for each token. */
  readonly allowed: TensorView | undefined;
  readonly inSequence: TensorView | undefined;
  /** i32 (rows, vocabulary), contiguous. */
  readonly generated: TensorView | undefined;
  /** f32 (rows). */
  readonly repetitionPenalty: TensorView | undefined;
  readonly presencePenalty: TensorView | undefined;
  readonly frequencyPenalty: TensorView | undefined;
  /** i32 (rows) and f32 (rows). */
  readonly tokens: TensorView;
  readonly logprobs: TensorView;
  /** i32 and f32 (rows, n), contiguous. */
  readonly topTokens: TensorView | undefined;
  readonly topLogprobs: TensorView | undefined;
}

/** Draws a token for each row. */
export const sampleTokensOperation = defineOperation<SampleTokensArgs>({
  name: 'sampleTokens',
  reads: (args) => [
    ...[args.logits, args.temperature, args.topK, args.topP, args.minP, args.seeds, args.positions],
    ...[args.bias, args.allowed, args.inSequence, args.generated],
    ...[args.repetitionPenalty, args.presencePenalty, args.frequencyPenalty],
  ],
  writes: ({ tokens, logprobs, topTokens, topLogprobs }) => [
    ...[tokens, logprobs, topTokens, topLogprobs],
  ],
});
