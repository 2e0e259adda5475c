import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { rows } from '../../../runtime/cpu/commands/descriptors.ts';

/**
 * The scratch of a thread: of each token its logit (f32), its score (f64) and its place in a heap (i32).
 * Tensors that may be absent are at address 0.
 */
export const sampleTokens = defineCommand('sampleTokens', {
  scratchBytes: 'usize',
  numRows: 'i32',
  vocabulary: 'i32',
  logits: rows,
  temperature: 'usize',
  topK: 'usize',
  topP: 'usize',
  minP: 'usize',
  seeds: 'usize',
  positions: 'usize',
  bias: 'usize',
  allowed: 'usize',
  inSequence: 'usize',
  generated: 'usize',
  repetitionPenalty: 'usize',
  presencePenalty: 'usize',
  frequencyPenalty: 'usize',
  tokens: 'usize',
  logprobs: 'usize',
  topTokens: 'usize',
  topLogprobs: 'usize',
  /** Columns of the last two. */
  numTop: 'i32',
});
