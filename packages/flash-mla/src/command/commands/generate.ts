import type { GenerationEnd, LanguageModel, Prompt } from '@flash-mla/models';
import type { Command } from 'commander';
import { significant } from '../../ops/bench/numbers.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import { jsonText } from '../json.ts';
import {
  addModelOptions,
  addSamplingOptions,
  loadFor,
  type ModelFlags,
  promptOf,
  type SamplingFlags,
  samplingOptions,
} from '../models/options.ts';
import { addNotes } from '../terminal/help.ts';
import { printableLines } from '../terminal/printable.ts';

interface GenerateFlags extends ModelFlags, SamplingFlags {
  readonly prompt?: string;
  readonly promptIds?: readonly number[];
  readonly raw?: boolean;
  readonly json?: boolean;
}

export function define(command: Command): void {
  addModelOptions(command)
    .option('--prompt <text>', 'what to answer, or to go on with')
    .option('--prompt-ids <ids>', 'the same as token ids: 1,2,3', tokenIds)
    .option('--raw', 'go on with the prompt as it is, without the model’s chat template');
  addSamplingOptions(command).option('--json', 'print JSON only');
  addNotes(command, [
    'The prompt is a message of a user where the model has a chat template. A prompt that spells out ' +
      'special tokens of the model is taken as it is, and so is --prompt-ids.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<GenerateFlags>();
  if ((flags.prompt === undefined) === (flags.promptIds === undefined)) {
    throw new UsageError('Expected --prompt or --prompt-ids. See `flash-mla generate --help`.');
  }
  const started = performance.now();
  const model = await loadFor(command.args[0], flags, context);
  const loadMs = performance.now() - started;
  const prompt = flags.promptIds ?? promptOf(model, flags.prompt ?? '', flags.raw === true);
  const answer = await generate(model, prompt, flags, context);
  const { end, ids, text } = answer;
  if (end === undefined) return exitCodes.failed;
  // The first token belongs to the prompt's time.
  const tokensPerSecond = end.restMs > 0 ? (end.outputTokens - 1) / (end.restMs / 1000) : 0;
  if (flags.json) {
    const { promptTokens, outputTokens, reason, firstTokenMs, restMs } = end;
    const times = { loadMs, firstTokenMs, restMs };
    const counts = { promptTokens, outputTokens, finishReason: reason };
    context.write(jsonText({ model: model.name, text, ids, ...counts, times, tokensPerSecond }));
    return exitCodes.ok;
  }
  context.write('\n');
  context.log(
    context.colors.dim(
      `${end.outputTokens} tokens (${end.reason}), ${significant(tokensPerSecond)} tokens/s; ` +
        `${end.promptTokens} of the prompt, the first after ${significant(end.firstTokenMs / 1000)} s`,
    ),
  );
  return exitCodes.ok;
}

async function generate(
  model: LanguageModel,
  prompt: Prompt,
  flags: GenerateFlags,
  context: CommandContext,
) {
  const ids: number[] = [];
  let whole = '';
  let ended: GenerationEnd | undefined;
  const options = { ...samplingOptions(flags), signal: context.signal };
  for await (const { text, tokens, end } of model.generate(prompt, options)) {
    ids.push(...tokens);
    whole += text;
    // A terminal would act on control characters; a file gets the text as it is.
    if (!flags.json) context.write(context.width === undefined ? text : printableLines(text));
    ended = end;
  }
  return { ids, text: whole, end: ended };
}

function tokenIds(text: string): number[] {
  const ids = text.split(',').map((id) => id.trim());
  if (ids.every((id) => /^\d{1,9}$/.test(id))) return ids.map(Number);
  throw new UsageError('--prompt-ids: expected token ids such as 1,2,3.');
}
