import type { PromptCheck } from '@flash-mla/models';
import { openSafetensors } from '@flash-mla/safetensors';
import type { Command } from 'commander';
import { scientific } from '../../ops/bench/numbers.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import { jsonText } from '../json.ts';
import { addDTypeAndDevice } from '../models/options.ts';
import { addNotes } from '../terminal/help.ts';
import { startProgress } from '../terminal/progress.ts';
import { formatTable } from '../terminal/table.ts';

/** Largest error of a logit in float32. Logits of the models in question have a deviation near 1. */
const bound = 2e-4;

export function define(command: Command): void {
  command
    .argument('<model>', 'a Hugging Face folder or an installed package')
    .argument('<answers>', 'recorded answers (safetensors)');
  addDTypeAndDevice(command).option('--json', 'print JSON only');
  addNotes(command, [
    'The file holds, for prompts i = 0, 1, …: i.input_ids, i.logits of i.positions (without these, of the ' +
      'last positions), and i.greedy, the tokens that follow greedily.',
    `Exits 1 where a logit is off by more than ${bound}, or a greedy token before the end token is another.`,
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const { json } = command.opts<{ json?: boolean }>();
  const [model = '', file = ''] = command.args;
  const { checkModel } = await import('@flash-mla/models');
  const answers = await openSafetensors(file);
  context.onExit(() => answers.close());
  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());
  const checks: PromptCheck[] = [];
  const onProgress = (done: number, total: number) =>
    progress.update(Math.round((100 * done) / total), 100, `loading ${model}`);
  for await (const check of checkModel(model, answers, { onProgress, signal: context.signal })) {
    context.signal.throwIfAborted();
    checks.push(check);
    progress.update(checks.length, checks.length + 1, 'prompts');
  }
  progress.stop();
  if (checks.length === 0) throw new UsageError(`${file}: expected 0.input_ids, got no answers.`);
  const pass = checks.every(passes);
  if (json) context.write(jsonText({ model, answers: file, bound, pass, prompts: checks }));
  else context.write(table(checks, pass, context));
  return pass ? exitCodes.ok : exitCodes.failed;
}

function passes({ maxError, greedyAgree, greedyTokens }: PromptCheck): boolean {
  return maxError <= bound && greedyAgree === greedyTokens;
}

function table(checks: readonly PromptCheck[], pass: boolean, context: CommandContext): string {
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
    passes(check) ? green('pass') : red('FAIL'),
  ]);
  const verdict = pass ? green('pass') : red('outside of the bounds');
  return `${formatTable(columns, rows, { dim, width: context.width })}${verdict}\n`;
}
