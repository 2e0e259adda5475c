import type { ModelConfig } from '../config/model-config.ts';
import type { Operations } from './operations.ts';
import type { LayerWeights } from './weights.ts';

/** The second half of a layer, added to the hidden state: a dense MLP, or experts. */
export function addFeedForward<Matrix>(
  ops: Operations<Matrix>,
  { moe, scales }: ModelConfig,
  weights: LayerWeights<Matrix>['mlp'],
  hidden: Matrix,
  x: Matrix,
): void {
  if (!('router' in weights)) ops.addMlp(hidden, x, weights, scales.residual);
  else if (moe !== undefined) ops.addExperts(hidden, x, weights, moe.routing, scales.residual);
}
