import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Arguments of a call of {@link routeExpertsOperation}, checked. */
export interface RouteExpertsArgs {
  /** bf16 or f32 (rows, experts), rows may be apart. */
  readonly logits: TensorView;
  /** f32 (experts): added to scores for the choice only. */
  readonly bias: TensorView | undefined;
  readonly scoring: 'softmax' | 'sigmoid';
  readonly groups: number;
  readonly topGroups: number;
  /** What a group is judged by: its largest score, or the sum of its two largest. */
  readonly groupScore: 'max' | 'top2';
  readonly normalize: boolean;
  readonly scale: number;
  /** Experts behind those that are chosen from, which every row passes with weight 1. */
  readonly sharedExperts: number;
  /** i32 (rows, topK + sharedExperts), contiguous. */
  readonly experts: TensorView;
  /** f32 (rows, topK + sharedExperts), contiguous. */
  readonly weights: TensorView;
}

/** The experts of each row and their weights. */
export const routeExpertsOperation = defineOperation<RouteExpertsArgs>({
  name: 'routeExperts',
  reads: ({ logits, bias }) => [logits, bias],
  writes: ({ experts, weights }) => [experts, weights],
});

/** Arguments of a call of {@link expertMlpOperation}, checked. Outer strides are anything. */
export interface ExpertMlpArgs {
  /** bf16 or f32 (rows, hidden). */
  readonly x: TensorView;
  /** i32 (rows, topK), contiguous: what is no expert adds nothing. */
  readonly experts: TensorView;
  /** f32 (rows, topK), contiguous. */
  readonly weights: TensorView;
  /** bf16, f32 or e4m3 (experts, 2 · width, hidden): gates, then what they are multiplied with. */
  readonly gateUp: TensorView;
  /** The same dtype (experts, hidden, width). */
  readonly down: TensorView;
  /** f32 (experts, ⌈2 · width / 128⌉, ⌈hidden / 128⌉), for e4m3 weights. */
  readonly gateUpScales: TensorView | undefined;
  /** f32 (experts, ⌈hidden / 128⌉, ⌈width / 128⌉), for e4m3 weights. */
  readonly downScales: TensorView | undefined;
  /** bf16 or f32 (rows, hidden). May be `out`. */
  readonly residual: TensorView | undefined;
  /** bf16 or f32 (rows, hidden). */
  readonly out: TensorView;
}

/** The weighted sum of the experts of each row. */
export const expertMlpOperation = defineOperation<ExpertMlpArgs>({
  name: 'expertMlp',
  reads: ({ x, experts, weights, gateUp, down, gateUpScales, downScales, residual }) => [
    ...[x, experts, weights, gateUp, down, gateUpScales, downScales, residual],
  ],
  writes: ({ out }) => [out],
});
