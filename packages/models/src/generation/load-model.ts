import {
  checkHiSparseRoom,
  Engine,
  type EngineOptions,
  type HiSparseOptions,
  type ModelRunner,
  parseHiSparseConfig,
} from '@flash-mla/engine';
import { findModel } from '#find-model';
import { loadWeights } from '../checkpoint/load-weights.ts';
import type { ModelFiles } from '../checkpoint/model-files.ts';
import { defaultGenerationConfig, parseGenerationConfig } from '../config/generation-config.ts';
import type { ModelConfig } from '../config/model-config.ts';
import { parseConfig } from '../config/parse-config.ts';
import { ModelConfigError, ModelOptionError, shown, TokenizerError } from '../errors.ts';
import type { LayerCache } from '../layers/attention.ts';
import { Decoder } from '../layers/decoder.ts';
import { matricesOf, matricesOfCache } from '../layers/map-weights.ts';
import type { Operations, WeightStore } from '../layers/operations.ts';
import type { ModelWeights } from '../layers/weights.ts';
import { PlainOperations } from '../plain/plain-operations.ts';
import { DeepSeekV32Format } from '../tokenizer/deepseek-v32-format.ts';
import { Tokenizer } from '../tokenizer/tokenizer.ts';
import { DecoderRunner } from './decoder-runner.ts';
import { LanguageModel } from './language-model.ts';

export interface LoadModelOptions {
  /**
   * Tokens that the cache holds, of all sequences together. Default: the model's longest context, at most
   * 8192. No sequence can be longer.
   */
  readonly maxTokens?: number;
  /** Sequences that are computed together. Default 32. */
  readonly maxSequences?: number;
  /** Results do not depend on what else is computed at the same time. Default false. */
  readonly deterministic?: boolean;
  /**
   * Keeps K/V in memory of the host and a hot buffer for each sequence on the device, for models with an indexer:
   * true, or a JSON object as `parseHiSparseConfig` of `@flash-mla/engine` reads it. `maxTokens` are then those of
   * the device. Default false.
   */
  readonly hisparse?: boolean | string;
  /** Called as weights arrive, with elements. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the loading; its reason is thrown. */
  readonly signal?: AbortSignal;
  /** Called after the model has been disposed of. */
  readonly onDispose?: () => void | Promise<void>;
}

const defaultCacheTokens = 8192;

/**
 * Loads a model: a folder in the form of Hugging Face, or an installed package that is one. It computes in
 * float32, on the thread that loads it. Nothing is downloaded.
 *
 * Throws ModelNotFoundError, UnsupportedModelError, ModelConfigError, CheckpointError, TokenizerError,
 * FileFormatError, and {@link ModelOptionError} for options that the model cannot have.
 */
export async function loadModel(
  pathOrPackage: string | ModelFiles,
  options: LoadModelOptions = {},
): Promise<LanguageModel> {
  return loadModelOn(new PlainOperations(), pathOrPackage, options);
}

/** As {@link loadModel}, with the operations of a device. */
export async function loadModelOn<Matrix>(
  ops: Operations<Matrix> & WeightStore<Matrix>,
  pathOrPackage: string | ModelFiles,
  options: LoadModelOptions = {},
): Promise<LanguageModel> {
  const files = typeof pathOrPackage === 'string' ? await findModel(pathOrPackage) : pathOrPackage;
  const { config, generationConfig, tokenizer } = await readModelFiles(files);
  const engineOptions = engineOptionsOf(config, ops, options);
  const loaded = await loadRunner(ops, files, config, {
    ...engineOptions,
    ...(options.onProgress && { onProgress: options.onProgress }),
    ...(options.signal && { signal: options.signal }),
  });
  const { runner, overlaps: overlap } = loaded;
  const engine = new Engine(runner, { ...engineOptions, overlap });
  const release = async () => {
    loaded.release();
    await options.onDispose?.();
  };
  return new LanguageModel({
    name: files.name,
    config,
    generationConfig,
    tokenizer,
    engine,
    release,
  });
}

/** What {@link loadRunner} has loaded. */
export interface LoadedRunner {
  readonly runner: ModelRunner;
  /** Whether it gains from a step that is handed in while another one is computed. */
  readonly overlaps: boolean;
  /** Gives up weights and cache. No step may run. */
  release(): void;
}

/**
 * Loads the weights of a checkpoint and makes what runs an engine's steps with them. Throws CheckpointError,
 * FileFormatError, and {@link ModelOptionError} where the cache does not fit into memory or the operations
 * cannot compute the model.
 */
export async function loadRunner<Matrix>(
  ops: Operations<Matrix> & WeightStore<Matrix>,
  files: ModelFiles,
  config: ModelConfig,
  {
    maxModelLength,
    totalPages,
    maxRunning = 256,
    hisparse,
    onProgress,
    signal,
  }: Pick<EngineOptions, 'maxModelLength' | 'totalPages' | 'maxRunning' | 'hisparse'> &
    Pick<LoadModelOptions, 'onProgress' | 'signal'>,
): Promise<LoadedRunner> {
  ops.checkModel?.(config);
  const progress = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  const weights = await loadWeights(files, config, ops, progress);
  const decoder = new Decoder(config, ops, weights, maxModelLength);
  const hostPages = Math.floor(totalPages * (hisparse?.hostToDeviceRatio ?? 1));
  const cache = makeCache(ops, decoder, weights, totalPages, hostPages);
  const hot =
    hisparse &&
    ops.createHotCache?.(cache, {
      ...{ hisparse, maxRunning, maxModelLength },
      ...{ numDevicePages: totalPages, numHostPages: hostPages },
    });
  const own = ops.createRunner?.(decoder, cache, hot);
  const release = () => {
    own?.[Symbol.dispose]();
    hot?.[Symbol.dispose]();
    for (const matrix of [...matricesOf(weights), ...matricesOfCache(cache)]) ops.release(matrix);
  };
  const runner = own ?? new DecoderRunner(decoder, cache, hot);
  return { runner, overlaps: own !== undefined, release };
}

/** Reads a model's config.json. Throws UnsupportedModelError and ModelConfigError. */
export async function readConfig(files: ModelFiles): Promise<ModelConfig> {
  const path = `${files.name}/config.json`;
  const text = await files.text('config.json');
  if (text !== undefined) return parseConfig(text, path);
  throw new ModelConfigError({
    subject: path,
    expected: 'a file',
    actual: 'none',
    remedy: 'Get the whole folder of the model.',
  });
}

/** Everything of a model but its weights. */
export async function readModelFiles(files: ModelFiles) {
  const path = (file: string) => `${files.name}/${file}`;
  const config = await readConfig(files);
  const advice = await files.text('generation_config.json');
  const generationConfig =
    advice === undefined
      ? defaultGenerationConfig
      : parseGenerationConfig(advice, path('generation_config.json'));
  const tokenizerText = await files.text('tokenizer.json');
  if (tokenizerText === undefined) {
    throw new TokenizerError({
      subject: path('tokenizer.json'),
      expected: 'a file',
      actual: 'none',
      remedy: 'Get the whole folder; a tokenizer of another kind has to be converted first.',
    });
  }
  const tokenizerConfig = await files.text('tokenizer_config.json');
  const chatTemplate = await files.text('chat_template.jinja');
  const tokenizer = new Tokenizer({
    tokenizer: tokenizerText,
    ...(tokenizerConfig !== undefined && { config: tokenizerConfig }),
    ...(chatTemplate !== undefined && { chatTemplate }),
    ...(config.family === 'deepseek_v32' && { promptFormat: new DeepSeekV32Format() }),
  });
  return { config, generationConfig, tokenizer };
}

/**
 * HiSparse's options for a model and the operations of a device. Throws EngineOptionError for what the model
 * cannot have and for a device cache without room for a hot buffer, and {@link ModelOptionError} for operations
 * that keep nothing in memory of the host.
 *
 * @param totalPages pages of the device's cache, the reserved one included.
 */
export function hiSparseFor(
  { indexer }: ModelConfig,
  { pageSize, createHotCache }: DeviceTraits,
  wanted: boolean | string | undefined,
  totalPages: number,
): HiSparseOptions | undefined {
  if (wanted === undefined || wanted === false) return undefined;
  const json = wanted === true ? '{}' : wanted;
  const options = parseHiSparseConfig(json, { indexTopK: indexer?.topK, pageSize });
  checkHiSparseRoom(options, { pageSize, totalPages });
  if (createHotCache !== undefined) return options;
  throw new ModelOptionError({
    subject: 'hisparse',
    expected: 'a device with hot buffers (cpu, cuda or sim, in bf16)',
    actual: 'operations without',
    remedy: 'Use such a device, or leave HiSparse out.',
  });
}

/** What of a device's operations decides about options. */
interface DeviceTraits {
  readonly pageSize: number;
  readonly createHotCache?: unknown;
}

function engineOptionsOf(
  config: ModelConfig,
  ops: DeviceTraits,
  { maxTokens, maxSequences = 32, deterministic = false, hisparse: wanted }: LoadModelOptions,
): EngineOptions {
  const { maxPositions } = config;
  const { pageSize } = ops;
  const tokens = maxTokens ?? Math.min(maxPositions, defaultCacheTokens);
  checkCount('maxTokens', tokens, 2);
  // One more: the engine keeps page 0 for itself.
  const totalPages = Math.ceil(tokens / pageSize) + 1;
  const hisparse = hiSparseFor(config, ops, wanted, totalPages);
  checkCount('maxSequences', maxSequences, 1);
  return {
    totalPages,
    // With HiSparse a sequence has to fit on the host only.
    maxModelLength: Math.max(
      2,
      Math.min(maxPositions, Math.floor(tokens * (hisparse?.hostToDeviceRatio ?? 1))),
    ),
    pageSize,
    maxRunning: maxSequences,
    maxBatchTokens: Math.max(8192, 2 * maxSequences + 512),
    deterministic,
    ...(hisparse && { hisparse }),
  };
}

function checkCount(name: string, value: number, min: number): void {
  if (Number.isInteger(value) && value >= min && value <= 2 ** 26) return;
  throw new ModelOptionError({
    subject: name,
    expected: `an integer from ${min} to ${2 ** 26}`,
    actual: shown(value),
    remedy: 'Change the option.',
  });
}

function makeCache<Matrix>(
  ops: WeightStore<Matrix>,
  decoder: Decoder<Matrix>,
  weights: ModelWeights<Matrix>,
  pages: number,
  indexPages: number,
): LayerCache<Matrix>[] {
  try {
    return decoder.createCache(pages, indexPages);
  } catch (cause) {
    for (const matrix of matricesOf(weights)) ops.release(matrix);
    if (!(cause instanceof RangeError)) throw cause;
    const problem = {
      subject: 'maxTokens',
      expected: 'a cache that fits into memory',
      actual: `${pages} pages in each of ${decoder.config.numLayers} layers`,
      remedy: 'Ask for fewer tokens.',
    };
    throw new ModelOptionError(problem, { cause });
  }
}
