import { randomInt } from 'node:crypto';
import { InvalidArgumentError } from 'commander';
import { UsageError } from '../../ops/bench/usage-error.ts';
import { type PropertyResult, parseSeed, runProperties, selectProblems } from '../../ops/cases.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import { jsonText } from '../json.ts';
import { packageVersion } from '../machine.ts';
import { type DeviceFlags, openFor } from '../open.ts';
import { startProgress } from '../terminal/progress.ts';
import { formatTable } from '../terminal/table.ts';

/** Options of `selftest` that concern drawn problems. */
export interface FuzzFlags extends DeviceFlags {
  readonly fuzz: number;
  readonly seed?: string;
  readonly filter?: string;
  readonly json?: boolean;
}

/** Simulators run thousands of times slower than what they simulate: they get the cheaper problems. */
const simulatedCost = 60;

/** Runs drawn problems: `selftest --fuzz N`. Resolves to the exit code. */
export async function runFuzz(flags: FuzzFlags, context: CommandContext): Promise<number> {
  const { fuzz: count, filter, seed = String(randomInt(2 ** 31)) } = flags;
  const { settings } = parseSeed(seed);
  if (settings && count !== 1)
    throw new UsageError(`--seed ${seed}: names one problem, so --fuzz 1.`);
  requireProblem({ count, seed, filter });
  const device = await openFor(flags, context);
  const maxCost = device.info.backend === 'sim' ? simulatedCost : undefined;
  const selection = { count, seed, filter, maxCost };
  requireProblem(selection);

  const progress = startProgress(context.progress);
  const started = performance.now();
  const results: PropertyResult[] = [];
  const report = () => {
    progress.stop();
    const seconds = (performance.now() - started) / 1e3;
    const run = { device: device.id, name: device.info.name, ...selection, seconds };
    context.write(flags.json ? json(run, results, context) : text(run, results, context));
  };
  // The command ends here when it is interrupted.
  context.onExit(() => {
    if (context.signal.aborted) report();
    else progress.stop();
  });
  const running = runProperties(device, {
    ...selection,
    signal: context.signal,
    reopen: () => openFor(flags, context),
    onProgress: ({ done, total, name }) => progress.update(done, total, name),
  });
  for await (const result of running) {
    context.signal.throwIfAborted();
    results.push(result);
    if (result.status === 'passed' || flags.json) continue;
    progress.stop();
    context.write(failureText(result, flags.device, context));
  }
  report();
  return results.every(({ status }) => status === 'passed') ? exitCodes.ok : exitCodes.failed;
}

function requireProblem(selection: Parameters<typeof selectProblems>[0]): void {
  if (!selectProblems(selection).next().done) return;
  throw new UsageError(`--filter ${selection.filter}: no drawn problem has that name.`);
}

/** Checks what `--seed` says. */
export function seedOption(value: string): string {
  try {
    parseSeed(value);
  } catch {
    throw new InvalidArgumentError('Expected S, S:index or S:index:name=value,…');
  }
  return value;
}

/** What happened, the problem, and the command that runs it again: of a smaller one first. */
function failureText(result: PropertyResult, device: string, { colors }: CommandContext): string {
  const again = (seed: string) => `flash-mla selftest --device ${device} --fuzz 1 --seed ${seed}`;
  const { smallest = result } = result;
  const lines = [`${colors.red('FAIL')} ${smallest.name}: ${smallest.message}`];
  lines.push(`     again: ${again(smallest.seed)}`);
  if (result.smallest) lines.push(`     as it was drawn: ${again(result.seed)}`);
  return `${lines.join('\n')}\n`;
}

interface FuzzRun {
  readonly device: string;
  readonly name: string;
  readonly count: number;
  readonly seed: string;
  readonly filter: string | undefined;
  readonly maxCost: number | undefined;
  readonly seconds: number;
}

function totalsOf(results: readonly PropertyResult[]) {
  const failed = results.filter(({ status }) => status === 'failed').length;
  return { passed: results.length - failed, failed };
}

function json(run: FuzzRun, results: readonly PropertyResult[], context: CommandContext): string {
  const { device: id, name, count, seed, ...rest } = run;
  return jsonText({
    version: packageVersion(),
    device: { id, name },
    fuzz: count,
    seed,
    ...rest,
    interrupted: context.signal.aborted,
    notRun: count - results.length,
    totals: totalsOf(results),
    operations: Object.fromEntries(
      operationsOf(results).map((op) => [op, totalsOf(results.filter((each) => each.op === op))]),
    ),
    failures: results.filter(({ status }) => status === 'failed'),
  });
}

function text(run: FuzzRun, results: readonly PropertyResult[], context: CommandContext): string {
  const { passed, failed } = totalsOf(results);
  const { colors, width } = context;
  const table = formatTable(
    [
      { title: 'operation' },
      { title: 'passed', align: 'right' },
      { title: 'failed', align: 'right' },
      { title: 'answers', align: 'right' },
    ],
    operationsOf(results).map((op) => {
      const own = results.filter((result) => result.op === op);
      const totals = totalsOf(own);
      const answers = own.reduce((sum, { comparisons }) => sum + comparisons, 0);
      const wrong = totals.failed > 0 ? colors.red(String(totals.failed)) : '0';
      return [op, String(totals.passed), wrong, String(answers)];
    }),
    { dim: colors.dim, width },
  );
  const limit = run.maxCost === undefined ? '' : `, problems above ${run.maxCost} MFLOP left out`;
  const notRun = run.count - results.length;
  const rest = context.signal.aborted ? `; interrupted, ${notRun} not run` : '';
  return `${run.name} (${run.device}), drawn problems, seed ${run.seed}${limit}\n${table}${passed} passed, ${failed} failed in ${run.seconds.toFixed(1)} s${rest}\n`;
}

function operationsOf(results: readonly PropertyResult[]): PropertyResult['op'][] {
  return [...new Set(results.map(({ op }) => op))].sort();
}
