import type { ModelRunner } from '@flash-mla/engine';
import {
  Decoder,
  DecoderRunner,
  findModel,
  loadWeights,
  PlainOperations,
  readModelFiles,
} from '@flash-mla/models';

export interface LoadedRunner {
  readonly runner: ModelRunner;
  readonly pageSize: number;
  readonly totalPages: number;
}

/**
 * Loads the weights of a checkpoint and makes what runs them, in float32 on the thread that calls it.
 *
 * @param maxTokens what the KV cache holds, of all sequences together
 */
export async function loadRunner(
  pathOrPackage: string,
  maxModelLength: number,
  maxTokens: number,
): Promise<LoadedRunner> {
  const files = await findModel(pathOrPackage);
  const { config } = await readModelFiles(files);
  const operations = new PlainOperations();
  const weights = await loadWeights(files, config, operations);
  const decoder = new Decoder(config, operations, weights, maxModelLength);
  const { pageSize } = operations;
  // One more: page 0 belongs to nobody.
  const totalPages = Math.ceil(maxTokens / pageSize) + 1;
  const cache = decoder.createCache(totalPages);
  return { runner: new DecoderRunner(decoder, cache), pageSize, totalPages };
}
