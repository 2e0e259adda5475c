import type { GenerateOptions, LanguageModel, Prompt } from '@flash-mla/models';
import { type Command, Option } from 'commander';
import { type ModelCacheDType, modelCacheDTypes } from '../../models/cache-dtype.ts';
import type { ModelDType } from '../../models/load-model.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
import type { Device } from '../../runtime/device/device.ts';
import type { CommandContext } from '../context.ts';
import { openFor } from '../open.ts';
import { integer, number } from '../option-values.ts';
import { startProgress } from '../terminal/progress.ts';

/** The model that commands use where none is named. */
export const demoModel = '@flash-mla/tales';

/** Options of every command that runs a model. */
export interface ModelFlags {
  readonly device: string;
  readonly dtype: ModelDType;
  readonly kvCacheDtype?: ModelCacheDType;
  readonly context?: number;
  readonly hisparse?: boolean;
  readonly hisparseConfig?: string;
}

/** HiSparse, for commands that run a model. */
export function addHiSparseOptions(command: Command): Command {
  return command
    .option('--hisparse', 'K/V in memory of the host, hot buffers on the device; needs an indexer')
    .option(
      '--hisparse-config <json>',
      'top_k, device_buffer_size, host_to_device_ratio, swap_in_block_size',
    );
}

/** What the flags ask for. Throws {@link UsageError} for a configuration without HiSparse. */
export function hiSparseOf({
  hisparse = false,
  hisparseConfig,
}: Pick<ModelFlags, 'hisparse' | 'hisparseConfig'>): boolean | string {
  if (hisparseConfig === undefined) return hisparse;
  if (hisparse) return hisparseConfig;
  throw new UsageError('--hisparse-config configures --hisparse, which is not given.');
}

/** `dtype`: of the command's default. */
export function addDTypeAndDevice(command: Command, dtype: ModelDType): Command {
  return command
    .option('--device <device>', 'auto (the processor), cpu, cuda, cuda:N, webgpu or sim', 'auto')
    .addOption(
      new Option('--dtype <dtype>', 'bf16: on the device; f32: on one thread, to compare with')
        .choices(['bf16', 'f32'])
        .default(dtype),
    );
}

/** What the rows of the cache are, for commands that run a model in bf16. */
export function addCacheDTypeOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--kv-cache-dtype <dtype>',
      'bf16, or fp8: packed rows, for models with an indexer (default: bf16)',
    ).choices(modelCacheDTypes),
  );
}

export function addModelOptions(command: Command): Command {
  command.argument(
    '[model]',
    `a Hugging Face folder or an installed package (default: ${demoModel})`,
  );
  addCacheDTypeOption(addDTypeAndDevice(command, 'bf16')).option(
    '--context <n>',
    'tokens that the cache holds (default: what the model can, at most 8192)',
    integer(2, 2 ** 26),
  );
  return addHiSparseOptions(command);
}

/** The device of a command line; undefined: the library opens the processor, or needs none. */
export async function deviceFor(
  { device, dtype, kvCacheDtype }: Pick<ModelFlags, 'device' | 'dtype' | 'kvCacheDtype'>,
  context: CommandContext,
): Promise<Device | undefined> {
  if (dtype === 'f32') refuseCacheDType(kvCacheDtype);
  if (device === 'auto') return undefined;
  if (dtype === 'f32' && device !== 'cpu') {
    throw new UsageError(`--device ${device}: --dtype f32 runs on the processor only.`);
  }
  return dtype === 'f32' ? undefined : openFor({ device }, context);
}

/** Throws {@link UsageError}: a model in float32 has its cache in float32. */
export function refuseCacheDType(kvCacheDtype: ModelCacheDType | undefined): void {
  if (kvCacheDtype === undefined) return;
  throw new UsageError(`--kv-cache-dtype ${kvCacheDtype}: the cache is f32 with --dtype f32.`);
}

/** Options of every command that generates. */
export interface SamplingFlags {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly ignoreEos?: boolean;
}

export function addSamplingOptions(command: Command): Command {
  const repeated = (text: string, before: readonly string[] = []) => [...before, text];
  return command
    .option('--max-tokens <n>', 'tokens of an answer at most', integer(1), 512)
    .option(
      '--temperature <t>',
      '0 takes the likeliest token (default: the model’s)',
      number(0, 100),
    )
    .option('--top-k <n>', 'only so many of the likeliest tokens; 0: all', integer(0))
    .option('--top-p <p>', 'only the likeliest tokens with this probability together', number(0, 1))
    .option('--min-p <p>', 'only tokens this likely, relative to the likeliest', number(0, 1))
    .option('--repetition-penalty <x>', 'above 1: less of what was there', number(1e-3, 1e3))
    .option('--seed <n>', 'draws the same again', integer(0))
    .option('--stop <text>', 'ends the answer before this text; may be repeated', repeated)
    .option('--ignore-eos', 'goes on past the model’s end tokens');
}

/** The options of the library for the flags of a command line. */
export function samplingOptions(flags: SamplingFlags): GenerateOptions {
  const { maxTokens, ignoreEos = false, stop = [] } = flags;
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = flags;
  return {
    maxTokens,
    ignoreEos,
    stop,
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(minP !== undefined && { minP }),
    ...(repetitionPenalty !== undefined && { repetitionPenalty }),
    ...(seed !== undefined && { seed }),
  };
}

/** Loads a model with a bar, and disposes of it when the process ends. */
export async function loadFor(
  name: string | undefined,
  { context: maxTokens, device: spec, dtype, kvCacheDtype, ...flags }: ModelFlags,
  context: CommandContext,
): Promise<LanguageModel> {
  const hisparse = hiSparseOf(flags);
  const { loadModel } = await import('../../models/load-model.ts');
  const cache = kvCacheDtype && { kvCacheDtype };
  const device = await deviceFor({ device: spec, dtype, ...cache }, context);
  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());
  const model = await loadModel(name ?? demoModel, {
    dtype,
    ...(device !== undefined && { device }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(hisparse !== false && { hisparse }),
    ...(kvCacheDtype && { kvCacheDType: kvCacheDtype }),
    signal: context.signal,
    onProgress: (done, total) => {
      const share = Math.round((100 * done) / total);
      progress.update(share, 100, `loading ${name ?? demoModel}`);
    },
  });
  progress.stop();
  context.onExit(() => model.dispose());
  return model;
}

/**
 * What a person asks: a message to a model that converses, text to go on with for another one. Text that
 * spells out a special token of the model is a prompt already, and is taken as it is.
 */
export function promptOf(model: LanguageModel, text: string, raw: boolean): Prompt {
  const { tokenizer } = model;
  if (raw || tokenizer.chatTemplate === undefined) return text;
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  if (ids.some((id) => tokenizer.isSpecial(id))) return ids;
  return { messages: [{ role: 'user', content: text }] };
}
