import type { ModelConfig } from '../config/model-config.ts';
import { mapWeights, matricesOf } from '../layers/map-weights.ts';
import type { WeightStore, WeightUse } from '../layers/operations.ts';
import type { ModelWeights } from '../layers/weights.ts';
import type { ModelFiles } from './model-files.ts';
import { Shards } from './shards.ts';
import { TensorParts } from './tensor-parts.ts';
import { type Parts, planWeights } from './weight-plan.ts';

export interface LoadOptions {
  /** Called as weights arrive, with elements. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Loads a checkpoint's weights into a device, matrix by matrix. Every tensor is checked before the first
 * one is read. Where anything fails, what was loaded is released. Throws CheckpointError, FileFormatError,
 * and the signal's reason.
 */
export async function loadWeights<Matrix>(
  files: ModelFiles,
  config: ModelConfig,
  store: WeightStore<Matrix>,
  { onProgress, signal }: LoadOptions = {},
): Promise<ModelWeights<Matrix>> {
  const shards = await Shards.open(files);
  const loaded = new Map<Parts, Matrix>();
  try {
    const plan = planWeights(config, new TensorParts(shards, config.quantization));
    const all = matricesOf(plan);
    const total = all.reduce((sum, parts) => sum + sizeOf(parts), 0);
    const uses = usesOf(plan);
    let done = 0;
    for (const parts of all) {
      signal?.throwIfAborted();
      loaded.set(parts, await store.load(parts, uses.get(parts) ?? 'other'));
      done += sizeOf(parts);
      onProgress?.(done, total);
    }
    return mapWeights(plan, (parts) => loaded.get(parts) as Matrix);
  } catch (error) {
    for (const matrix of loaded.values()) store.release(matrix);
    throw error;
  } finally {
    await shards.close();
  }
}

function usesOf({ layers }: ModelWeights<Parts>): Map<Parts, WeightUse> {
  const uses = new Map<Parts, WeightUse>();
  for (const { attention, mlp } of layers) {
    uses.set(attention.keyValue, 'latent');
    if ('router' in mlp) uses.set(mlp.experts.gateUp, 'experts').set(mlp.experts.down, 'experts');
  }
  return uses;
}

/** Elements of a matrix. */
export function sizeOf(parts: Parts): number {
  return parts.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
}
