import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkFlag,
  checkInteger,
  checkNotEmpty,
  optionNames,
  readOptions,
} from '../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkChoice,
  checkMatrix,
  checkNumber,
  checkShape,
  takeContiguous,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { maxExperts, maxTopK } from './limits.ts';
import { routeExpertsOperation } from './operation.ts';

/** Arguments of {@link routeExperts}. */
export interface RouteExpertsOptions {
  /** (rows, experts), 1 to 1024 experts; rows may be apart. `rows` may be 0. */
  readonly logits: Tensor<'bf16' | 'f32'>;
  /** (experts): added to the scores for the choice, not for the weights. */
  readonly bias?: Tensor<'f32'> | null | undefined;
  /** Experts of a row: 1 to 64. */
  readonly topK: number;
  /** How logits become scores. */
  readonly scoring: 'softmax' | 'sigmoid';
  /** Experts are so many groups, of equal size; default 1. */
  readonly groups?: number | null | undefined;
  /** Only the best groups are chosen from; default all. */
  readonly topGroups?: number | null | undefined;
  /** A group is as good as its best expert, or as its two best together; default `max`. */
  readonly groupScore?: 'max' | 'top2' | null | undefined;
  /** Whether the weights of a row are divided by their sum; default false. */
  readonly normalize?: boolean | null | undefined;
  /** What weights are multiplied by at last; default 1. */
  readonly scale?: number | null | undefined;
  /**
   * Experts that every row passes with weight 1, 0 (default) to 64 with `topK`: their numbers follow those
   * of the experts that have logits, and they come last.
   */
  readonly sharedExperts?: number | null | undefined;
  /** (rows, topK + sharedExperts), contiguous, to write to. Default: new tensors. */
  readonly experts?: Tensor<'i32'> | null | undefined;
  readonly weights?: Tensor<'f32'> | null | undefined;
}

/** What {@link routeExperts} gives: (rows, topK + sharedExperts), the best expert of a row first. */
export interface RoutedExperts {
  readonly experts: Tensor<'i32'>;
  readonly weights: Tensor<'f32'>;
}

const known = optionNames<keyof RouteExpertsOptions>(
  ...([
    ...(['logits', 'bias', 'topK', 'scoring', 'groups', 'topGroups', 'groupScore'] as const),
    ...(['normalize', 'scale', 'sharedExperts', 'experts', 'weights'] as const),
  ] as const),
);
const mostScale = 2 ** 100;

/**
 * Chooses the experts of each row, all in float32. Scores are the softmax or the sigmoids of the logits.
 * The choice is by score plus bias: the `topGroups` best groups, of these the `topK` best experts; of
 * equals, the one with the lower number. The weight of an expert is its score without the bias, divided
 * by the sum of the row's (plus 1e-20) if `normalize`, times `scale`. Shared experts have weight 1. Only
 * enqueues, and may be recorded by `device.capture`.
 *
 * Source: the gates of DeepSeek-V2 (softmax, groups by `max`, a scale) and DeepSeek-V3 (sigmoid, bias,
 * groups by `top2`, normalised, a scale).
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function routeExperts(options: RouteExpertsOptions): RoutedExperts {
  const given = readOptions(options, known);
  const { logits } = given;
  checkMatrix('logits', logits, 2, ['bf16', 'f32'] as const);
  checkNotEmpty('logits', logits, 1);
  const { device } = logits;
  const [rows = 0, count = 0] = logits.shape;
  if (count > maxExperts) {
    throw new InvalidArgumentError('logits.shape[1]', `at most ${maxExperts} experts`, `${count}`);
  }
  const bias = given.bias ?? undefined;
  if (bias !== undefined) {
    checkMatrix('bias', bias, 1, ['f32'] as const, device);
    checkShape('bias', bias, [count], '(experts)');
  }
  const groups = checkInteger('groups', given.groups ?? 1, 1, count);
  if (count % groups !== 0) {
    throw new InvalidArgumentError('groups', `a divisor of the ${count} experts`, `${groups}`);
  }
  const topGroups = checkInteger('topGroups', given.topGroups ?? groups, 1, groups);
  const available = (topGroups * count) / groups;
  const topK = checkInteger('topK', given.topK, 1, Math.min(maxTopK, available));
  const scoring = checkChoice(
    'scoring',
    given.scoring ?? 'none',
    ['softmax', 'sigmoid'] as const,
    'softmax',
  );
  const groupScore = checkChoice('groupScore', given.groupScore, ['max', 'top2'] as const, 'max');
  const normalize = checkFlag('normalize', given.normalize, false);
  const scale = checkNumber('scale', given.scale ?? 1, -mostScale, mostScale);
  const mostShared = maxTopK - topK;
  const sharedExperts = checkInteger('sharedExperts', given.sharedExperts ?? 0, 0, mostShared);
  const owned: Tensor[] = [];
  try {
    const shape = [rows, topK + sharedExperts];
    const experts = takeContiguous('experts', given.experts, shape, 'i32', device, owned);
    const weights = takeContiguous('weights', given.weights, shape, 'f32', device, owned);
    checkApart('experts', experts, { logits, bias });
    checkApart('weights', weights, { logits, bias, experts });
    if (rows > 0) {
      device.backend.run(routeExpertsOperation, {
        ...{ logits, bias, scoring, groups, topGroups, groupScore, normalize, scale },
        ...{ sharedExperts, experts, weights },
      });
    }
    return { experts, weights };
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}
