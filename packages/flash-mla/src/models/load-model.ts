import {
  checkModel,
  checkModelOn,
  type LanguageModel,
  type LoadModelOptions,
  loadModelOn,
  loadModel as loadPlainModel,
  type PromptCheck,
} from '@flash-mla/models';
import type { SafetensorsFile } from '@flash-mla/safetensors';
import { openDevice } from '../open-device.ts';
import type { Device } from '../runtime/device/device.ts';
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
}

/**
 * Loads a model: a folder in the form of Hugging Face, or an installed package that is one, such as
 * `@flash-mla/tales`. Nothing is downloaded.
 *
 * Throws ModelNotFoundError, UnsupportedModelError, ModelConfigError, CheckpointError, TokenizerError,
 * ModelOptionError, FileFormatError, OutOfMemoryError.
 */
export async function loadModel(
  pathOrPackage: string,
  { device, dtype = 'bf16', ...options }: DeviceModelOptions = {},
): Promise<LanguageModel> {
  if (dtype === 'f32') return loadPlainModel(pathOrPackage, options);
  const own = device === undefined ? await openDevice('cpu') : undefined;
  try {
    return await loadModelOn(new DeviceOperations(device ?? (own as Device)), pathOrPackage, {
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
  pathOrPackage: string,
  answers: SafetensorsFile,
  { device, dtype = 'bf16', ...options }: DeviceModelOptions = {},
): AsyncGenerator<PromptCheck> {
  if (dtype === 'f32') {
    yield* checkModel(pathOrPackage, answers, options);
    return;
  }
  const own = device === undefined ? await openDevice('cpu') : undefined;
  try {
    const ops = new DeviceOperations(device ?? (own as Device));
    yield* checkModelOn(ops, pathOrPackage, answers, options);
  } finally {
    await own?.dispose();
  }
}
