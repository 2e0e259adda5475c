import type { PromptCheck } from '@flash-mla/models';
import { openSafetensors } from '@flash-mla/safetensors';
import type { Command } from 'commander';
import type { ModelDType } from '../../models/load-model.ts';
import { scientific } from '../../ops/bench/numbers.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import { jsonText } from '../json.ts';
import { addDTypeAndDevice, deviceFor } from '../models/options.ts';
import { addNotes } from '../terminal/help.ts';
import { startProgress } from '../terminal/progress.ts';
import { formatTable } from '../terminal/table.ts';

/**
 * Of float32 the largest error of a logit (logits of the models in question have a deviation near 1), of
 * bf16 the relative error, and by how much logits may differ where greedy tokens part.
 */
const bounds = { f32: 2e-4, bf16: { relative: 2e-2, gap: 0.1 } } as const;

/** Prompts of which one may part from the recorded tokens in bf16, and one of fewer. */
const promptsOfOneParted = 8;

export function define(command: Command): void {
  command
    .argument('<model>', 'a Hugging Face folder or an installed package')
    .argument('<answers>', 'recorded answers (safetensors)');
  addDTypeAndDevice(command, 'f32').option('--json', 'print JSON only');
  addNotes(command, [
    'The file holds, for prompts i = 0, 1, …: i.input_ids, i.logits of i.positions (without these, of the ' +
      'last positions), and i.greedy, the tokens that follow greedily.',
    `Exits 1 outside of the bounds. f32: no logit is off by more than ${bounds.f32}, and greedy tokens are the ` +
      `same up to the end token. bf16: logits are off by ${bounds.bf16.relative} of their norm at most, and where ` +
      `the likeliest token is another one, or greedy tokens part, the two lie within ${bounds.bf16.gap}; ` +
      'they part in one prompt of eight at most.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<{ json?: boolean; dtype: ModelDType; device: string }>();
  const { json, dtype } = flags;
  const [model = '', file = ''] = command.args;
  const { checkModelAnswers } = await import('../../models/load-model.ts');
  const answers = await openSafetensors(file);
  context.onExit(() => answers.close());
  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());
  const checks: PromptCheck[] = [];
  const onProgress = (done: number, total: number) =>
    progress.update(Math.round((100 * done) / total), 100, `loading ${model}`);
  const device = await deviceFor(flags, context);
  const options = {
    dtype,
    ...(device !== undefined && { device }),
    onProgress,
    signal: context.signal,
  };
  for await (const check of checkModelAnswers(model, answers, options)) {
    context.signal.throwIfAborted();
    checks.push(check);
    progress.update(checks.length, checks.length + 1, 'prompts');
  }
  progress.stop();
  if (checks.length === 0) throw new UsageError(`${file}: expected 0.input_ids, got no answers.`);
  const pass = passesAll(checks, dtype);
  if (json) {
    const bound = bounds[dtype];
    context.write(jsonText({ model, answers: file, dtype, bound, pass, prompts: checks }));
  } else context.write(table(checks, dtype, context));
  return pass ? exitCodes.ok : exitCodes.failed;
}

function passes(check: PromptCheck, dtype: ModelDType): boolean {
  const { maxError, relativeError, bestDisagreeClearly, greedyAgree, greedyTokens } = check;
  if (dtype === 'f32') return maxError <= bounds.f32 && greedyAgree === greedyTokens;
  const { relative, gap } = bounds.bf16;
  const parts = check.greedyGap === undefined || check.greedyGap <= gap;
  return relativeError <= relative && bestDisagreeClearly === 0 && parts;
}

/** Every prompt within the bounds; of eight prompts, one may part from the recorded tokens in bf16. */
function passesAll(checks: readonly PromptCheck[], dtype: ModelDType): boolean {
  const parted = checks.filter(({ greedyAgree, greedyTokens }) => greedyAgree < greedyTokens);
  const mayPart = Math.max(1, Math.floor(checks.length / promptsOfOneParted));
  return checks.every((check) => passes(check, dtype)) && parted.length <= mayPart;
}

function table(checks: readonly PromptCheck[], dtype: ModelDType, context: CommandContext): string {
  const { dim, green, red } = context.colors;
  const columns = [
    { title: 'prompt', align: 'right' },
    { title: 'tokens', align: 'right' },
    { title: 'largest error', align: 'right' },
    { title: 'relative', align: 'right' },
    { title: 'KL divergence', align: 'right' },
    { title: 'best token', align: 'right' },
    { title: 'greedy', align: 'right' },
    { title: '' },
  ] as const;
  const rows = checks.map((check) => [
    `${check.prompt}`,
    `${check.promptTokens}`,
    scientific(check.maxError),
    scientific(check.relativeError),
    scientific(check.maxDivergence),
    `${check.bestAgree}/${check.positions}`,
    `${check.greedyAgree}/${check.greedyTokens}`,
    passes(check, dtype) ? green('pass') : red('FAIL'),
  ]);
  const pass = passesAll(checks, dtype);
  const verdict = pass ? green('pass') : red('outside of the bounds');
  return `${formatTable(columns, rows, { dim, width: context.width })}${verdict}\n`;
}
