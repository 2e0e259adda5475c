import type { SafetensorsFile } from '@flash-mla/safetensors';
import { findModel } from '#find-model';
import { type LoadOptions, loadWeights } from '../checkpoint/load-weights.ts';
import type { ModelFiles } from '../checkpoint/model-files.ts';
import { readConfig } from '../generation/load-model.ts';
import { Decoder } from '../layers/decoder.ts';
import { matricesOf, matricesOfCache } from '../layers/map-weights.ts';
import type { Operations, WeightStore } from '../layers/operations.ts';
import { PlainOperations } from '../plain/plain-operations.ts';
import { checkAnswers, type PromptCheck } from './check-answers.ts';

/**
 * Loads a model and compares it with recorded answers, prompt by prompt, in float32 on this thread. Throws
 * what loading a model throws, CheckpointError for answers of another model, and FileFormatError.
 */
export async function* checkModel(
  pathOrPackage: string | ModelFiles,
  answers: SafetensorsFile,
  options: LoadOptions = {},
): AsyncGenerator<PromptCheck> {
  yield* checkModelOn(new PlainOperations(), pathOrPackage, answers, options);
}

/** As {@link checkModel}, with the operations of a device. */
export async function* checkModelOn<Matrix>(
  ops: Operations<Matrix> & WeightStore<Matrix>,
  pathOrPackage: string | ModelFiles,
  answers: SafetensorsFile,
  options: LoadOptions = {},
): AsyncGenerator<PromptCheck> {
  const files = typeof pathOrPackage === 'string' ? await findModel(pathOrPackage) : pathOrPackage;
  const config = await readConfig(files);
  ops.checkModel?.(config);
  const weights = await loadWeights(files, config, ops, options);
  const release = (matrices: readonly Matrix[]) => {
    for (const matrix of matrices) ops.release(matrix);
  };
  try {
    const decoder = new Decoder(config, ops, weights);
    yield* checkAnswers(decoder, answers, {
      pageSize: ops.pageSize,
      createCache: (pages) => decoder.createCache(pages),
      release: (cache) => release(matricesOfCache(cache)),
    });
  } finally {
    release(matricesOf(weights));
  }
}
