import type { EngineOptions } from '@flash-mla/engine';
import { ServerOptionError } from './errors.ts';
import { TextEngine } from './generate/text-engine.ts';
import { grammarVocabulary } from './grammar/vocabulary.ts';
import { readServedModel } from './model/checkpoint-model.ts';
import type { OperationsSource } from './model/checkpoint-runner.ts';
import type { ServedTokenizer } from './model/served-model.ts';
import { ThreadBackend } from './thread/thread-backend.ts';
import { TokenizerThread } from './thread/tokenizer-thread.ts';

export interface CreateEngineOptions {
  /** The model's name in requests. Default: the last part of its path. */
  readonly name?: string;
  /** The longest sequence. Default: what the model can hold and the cache has room for. */
  readonly maxModelLength?: number;
  /** What the KV cache holds, of all sequences together. Default: four of the longest, at most 32 768. */
  readonly maxTokens?: number;
  /**
   * Keeps K/V in memory of the host and a hot buffer for each sequence on the device: true, or a JSON object with
   * any of `top_k`, `device_buffer_size`, `host_to_device_ratio` and `swap_in_block_size`. `maxTokens` are then
   * those of the device. For models with an indexer, on the operations of a device. Default false.
   */
  readonly hisparse?: boolean | string;
  /** Sequences that are computed together. Default 32. */
  readonly maxRunning?: number;
  /**
   * What the model is computed with: a module that makes the operations, loaded in the engine's thread.
   * `flash-mla/models` is one: `{ module: import.meta.resolve('flash-mla/models'), options: { device: 'cpu' } }`
   * computes in bf16 on a device of that library. Default: float32 in TypeScript on one thread.
   */
  readonly operations?: OperationsSource;
  /** Further options of the engine. */
  readonly engine?: Partial<
    Pick<
      EngineOptions,
      | 'deterministic'
      | 'deterministicChunk'
      | 'maxBatchTokens'
      | 'maxQueuedRequests'
      | 'maxQueuedTokens'
      | 'prefixCache'
      | 'targetStepMs'
    >
  >;
}

/**
 * Loads a model into a thread of its own, ready for many requests: a folder in the form of Hugging Face, or
 * an installed package that is one, such as `@flash-mla/tales`.
 *
 * @throws ServerOptionError, ModelNotFoundError, UnsupportedModelError, CheckpointError, TokenizerError, EngineOptionError
 */
export async function createEngine(
  pathOrPackage: string,
  options: CreateEngineOptions = {},
): Promise<TextEngine> {
  const { engine, hisparse = false, maxRunning = 32, maxTokens, name, operations } = options;
  if (engine?.deterministic && operations !== undefined) {
    throw new ServerOptionError({
      subject: 'engine.deterministic',
      expected: 'no operations of a device beside it',
      actual: 'both',
      remedy:
        'The products of a device depend in their last bits on how many rows are computed together: leave ' +
        'operations out (--dtype f32 of the command), or deterministic.',
    });
  }
  if (hisparse !== false && operations === undefined) {
    throw new ServerOptionError({
      subject: 'hisparse',
      expected: 'the operations of a device beside it',
      actual: 'none',
      remedy: 'Add operations (--dtype bf16 of the command), or leave HiSparse out.',
    });
  }
  const longest = options.maxModelLength ?? maxTokens;
  const model = await readServedModel(pathOrPackage, {
    ...(name !== undefined && { name }),
    ...(longest !== undefined && { maxModelLength: longest }),
  });
  const { maxModelLength } = model;
  const backend = await ThreadBackend.start({
    model: pathOrPackage,
    maxModelLength,
    maxTokens: maxTokens ?? Math.max(maxModelLength, Math.min(4 * maxModelLength, 32_768)),
    ...(hisparse !== false && { hisparse }),
    vocabulary: grammarVocabulary(model),
    ...(operations !== undefined && { operations }),
    engine: { ...engine, maxRunning, model: model.id },
  });
  const thread = new TokenizerThread(pathOrPackage);
  const tokenizer: ServedTokenizer = {
    ...model.tokenizer,
    encodeLong: (text, { addSpecialTokens }) => thread.encode(text, addSpecialTokens),
  };
  return new TextEngine({ ...model, tokenizer }, backend, () => thread.close());
}
