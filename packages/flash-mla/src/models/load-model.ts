import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkModel,
  checkModelOn,
  type LanguageModel,
  type LoadModelOptions,
  loadModelOn,
  loadModel as loadPlainModel,
  type ModelFiles,
  type PromptCheck,
} from '@flash-mla/models';
import type { SafetensorsFile } from '@flash-mla/safetensors';
import { openDevice } from '../open-device.ts';
import type { Device } from '../runtime/device/device.ts';
import { checkCacheDType, type ModelCacheDType } from './cache-dtype.ts';
import { DeviceOperations } from './device-operations.ts';

/** Element types that a model can compute in. */
export type ModelDType = 'bf16' | 'f32';

/** Options of {@link loadModel}. */
export interface DeviceModelOptions extends Omit<LoadModelOptions, 'deterministic'> {
  /**
   * The device; it stays open when the model is disposed of. Default: the processor, opened for the model
   * and closed with it. Not with `dtype: 'f32'`.
   */
  readonly device?: Device;
  /**
   * `'bf16'` (default): weights and cache in bf16, float32 between the operations. `'f32'`: everything in
   * float32, in TypeScript on one thread; slow, to compare with.
   */
  readonly dtype?: ModelDType;
  /**
   * What the rows of the KV cache are. `'fp8'`: packed rows of 656 bytes in place of 1152, for models with an
   * indexer whose latents have 512 + 64 values. Default `'bf16'`; not with `dtype: 'f32'`.
   */
  readonly kvCacheDType?: ModelCacheDType;
}

/**
 * Loads a model: a folder in the form of Hugging Face, or an installed package that is one, such as
 * `@flash-mla/tales`. Nothing is downloaded. In a browser, which has neither, the files of a model are what
 * `filesFrom` makes.
 *
 * Throws ModelNotFoundError, UnsupportedModelError, ModelConfigError, CheckpointError, TokenizerError,
 * ModelOptionError, FileFormatError, OutOfMemoryError.
 */
export async function loadModel(
  pathOrPackage: string | ModelFiles,
  { device, dtype = 'bf16', kvCacheDType: cacheDType, ...options }: DeviceModelOptions = {},
): Promise<LanguageModel> {
  const kvCacheDType = checkCacheDType('kvCacheDType', cacheDType);
  if (dtype === 'f32') {
    if (kvCacheDType !== 'bf16') throw cacheInFloat32();
    return loadPlainModel(pathOrPackage, options);
  }
  const own = device === undefined ? await openDevice('cpu') : undefined;
  try {
    const ops = new DeviceOperations(device ?? (own as Device), { kvCacheDType });
    return await loadModelOn(ops, pathOrPackage, {
      ...options,
      ...(own !== undefined && { onDispose: () => own.dispose() }),
    });
  } catch (error) {
    await own?.dispose();
    throw error;
  }
}

/** Compares a model with recorded answers, prompt by prompt. Options and errors as {@link loadModel}. */
export async function* checkModelAnswers(
  pathOrPackage: string | ModelFiles,
  answers: SafetensorsFile,
  { device, dtype = 'bf16', kvCacheDType: cacheDType, ...options }: DeviceModelOptions = {},
): AsyncGenerator<PromptCheck> {
  const kvCacheDType = checkCacheDType('kvCacheDType', cacheDType);
  if (dtype === 'f32') {
    if (kvCacheDType !== 'bf16') throw cacheInFloat32();
    yield* checkModel(pathOrPackage, answers, options);
    return;
  }
  const own = device === undefined ? await openDevice('cpu') : undefined;
  try {
    const ops = new DeviceOperations(device ?? (own as Device), { kvCacheDType });
    yield* checkModelOn(ops, pathOrPackage, answers, options);
  } finally {
    await own?.dispose();
  }
}

function cacheInFloat32(): InvalidArgumentError {
  const remedy = "The cache is float32 with dtype 'f32'.";
  return new InvalidArgumentError('kvCacheDType', "none with dtype 'f32'", 'fp8', remedy);
}
