import { encodeSafetensors, openSafetensors, type WritableTensor } from '@flash-mla/safetensors';
import type { ModelFiles } from '../checkpoint/model-files.ts';

/** A checkpoint in memory: texts, and safetensors files as bytes. */
export function memoryFiles(
  texts: Readonly<Record<string, string>>,
  shards: Readonly<Record<string, Uint8Array>>,
): ModelFiles {
  return {
    name: 'memory',
    text: async (file) => texts[file],
    tensors: (file) => openSafetensors(shards[file] ?? new Uint8Array(0), file),
  };
}

/** Writes tensors in one file, or spreads them over several with an index. */
export async function checkpointFiles(
  config: string,
  tensors: ReadonlyMap<string, WritableTensor>,
  numShards: number,
): Promise<ModelFiles> {
  const texts: Record<string, string> = { 'config.json': config };
  if (numShards === 1) {
    return memoryFiles(texts, { 'model.safetensors': await encodeSafetensors(tensors) });
  }
  const shards: Record<string, Uint8Array> = {};
  const weight_map: Record<string, string> = {};
  for (let shard = 0; shard < numShards; shard++) {
    const file = `model-${shard + 1}-of-${numShards}.safetensors`;
    // Neighbours go to different files: also a weight and its scales.
    const own = [...tensors].filter((_, i) => i % numShards === shard);
    for (const [name] of own) weight_map[name] = file;
    shards[file] = await encodeSafetensors(new Map(own));
  }
  texts['model.safetensors.index.json'] = JSON.stringify({ metadata: {}, weight_map });
  return memoryFiles(texts, shards);
}
