import type { ModelConfig } from '../config/model-config.ts';
import type { Operations } from './operations.ts';
import type { LayerWeights } from './weights.ts';

/** The second half of a layer: a dense MLP, or experts and the one that every token passes. */
export function feedForward<Matrix>(
  ops: Operations<Matrix>,
  { moe }: ModelConfig,
  weights: LayerWeights<Matrix>['mlp'],
  x: Matrix,
): Matrix {
  if (moe === undefined || !('router' in weights)) {
    return ops.mlp(x, weights as Exclude<typeof weights, { router: Matrix }>);
  }
  const logits = ops.linear(x, { weight: weights.router });
  const out = ops.experts(x, logits, weights.routerBias, weights.experts, moe.routing);
  if (weights.shared !== undefined) ops.addScaled(out, ops.mlp(x, weights.shared), 1);
  return out;
}
