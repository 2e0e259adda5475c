import { type Command, InvalidArgumentError, Option } from 'commander';
import { scientific } from '../../ops/bench/numbers.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
import {
  type CaseSelection,
  type ConformanceResult,
  runConformance,
  selectCases,
} from '../../ops/cases.ts';
import type { Device } from '../../runtime/device/device.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import { jsonText } from '../json.ts';
import { packageVersion } from '../machine.ts';
import { addDeviceOptions, type DeviceFlags, openFor } from '../open.ts';
import { integer } from '../option-values.ts';
import { runFuzz, seedOption } from '../selftest/fuzz.ts';
import { addNotes } from '../terminal/help.ts';
import { startProgress } from '../terminal/progress.ts';
import { formatTable } from '../terminal/table.ts';

interface SelftestFlags extends DeviceFlags {
  readonly suite: 'quick' | 'full';
  readonly filter?: string;
  readonly shard?: { readonly index: number; readonly count: number };
  readonly fuzz?: number;
  readonly seed?: string;
  readonly json?: boolean;
}

export function define(command: Command): void {
  addDeviceOptions(command)
    .addOption(
      new Option('--suite <suite>', 'which cases').choices(['quick', 'full']).default('quick'),
    )
    .option('--filter <text>', 'only cases whose names contain these words')
    .option('--shard <i/n>', 'the i-th of n equal shares, for processes side by side', parseShard)
    .option('--fuzz <n>', 'n drawn problems instead of the suite', integer(1))
    .option('--seed <seed>', 'what --fuzz draws from (default: any)', seedOption)
    .option('--json', 'print JSON only');
  addNotes(command, [
    'The conformance suite: every operation against the float64 reference, within the bounds of ' +
      'FlashMLA’s own tests. quick takes about 10 s on a processor or a GPU and some minutes ' +
      'on the simulator; full adds the grids of those tests, two hours of work for two cores. ' +
      'Ctrl-C prints the results so far and exits with 130.',
    '--fuzz draws whole problems: operation, shapes, strides, lengths, indices, values, way of ' +
      'calling. A failure prints the seed that runs it again.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<SelftestFlags>();
  const { fuzz } = flags;
  if (fuzz !== undefined) {
    for (const option of ['suite', 'shard']) {
      if (command.getOptionValueSource(option) !== 'cli') continue;
      throw new UsageError(`--${option}: belongs to the suite, not to --fuzz.`);
    }
    return runFuzz({ ...flags, fuzz }, context);
  }
  if (flags.seed !== undefined) throw new UsageError('--seed: belongs to --fuzz, which is absent.');
  const selection = { suite: flags.suite, filter: flags.filter, shard: flags.shard };
  if (selectCases(selection).length === 0) {
    throw new UsageError(
      `--filter ${flags.filter}: no case of the ${flags.suite} suite has that name.`,
    );
  }
  const device = await openFor(flags, context);
  const progress = startProgress(context.progress);
  const { red } = context.colors;
  const started = performance.now();
  const results: ConformanceResult[] = [];
  const { signal } = context;
  context.onExit(() => {
    progress.stop();
    if (!signal.aborted) return;
    const count = selectCases(selection).length;
    report({ results, count, seconds: secondsSince(started), device, selection }, flags, context);
  });
  const onProgress = (at: { done: number; total: number; name: string }) =>
    progress.update(at.done, at.total, at.name);
  for await (const result of runConformance(device, { ...selection, signal, onProgress })) {
    signal.throwIfAborted();
    results.push(result);
    if (result.status !== 'failed' || flags.json) continue;
    progress.stop();
    context.write(`${red('FAIL')} ${result.name}: ${result.message}\n`);
  }
  progress.stop();
  const seconds = secondsSince(started);
  report({ results, count: results.length, seconds, device, selection }, flags, context);
  return results.some(({ status }) => status === 'failed') ? exitCodes.failed : exitCodes.ok;
}

/** What a run found out, to the end or until it was interrupted. */
interface Outcome {
  readonly results: readonly ConformanceResult[];
  /** Cases of the selection: more than there are results after an interruption. */
  readonly count: number;
  readonly seconds: number;
  readonly device: Device;
  readonly selection: CaseSelection;
}

function report(outcome: Outcome, flags: SelftestFlags, context: CommandContext): void {
  const { results, count, seconds, device, selection } = outcome;
  const totals = { passed: 0, failed: 0, excluded: 0 };
  for (const { status } of results) totals[status]++;
  const notRun = count - results.length;
  const { id, info } = device;
  if (flags.json) {
    const cases = results.map(withoutPassedComparisons);
    const run = {
      version: packageVersion(),
      device: { id, name: info.name },
      ...selection,
      seconds,
    };
    context.write(jsonText({ ...run, interrupted: context.signal.aborted, notRun, totals, cases }));
    return;
  }
  context.write(`${info.name} (${id}, ${info.parallelism} workers), ${flags.suite} suite\n`);
  context.write(operationTable(results, context));
  for (const { name: excluded, message } of results.filter(isExcluded)) {
    context.write(`excluded: ${excluded}: ${message}\n`);
  }
  const excluded = totals.excluded > 0 ? `, ${totals.excluded} excluded` : '';
  const rest = context.signal.aborted ? `; interrupted, ${notRun} not run` : '';
  context.write(
    `${totals.passed} passed, ${totals.failed} failed${excluded} in ${seconds.toFixed(1)} s${rest}\n`,
  );
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1e3;
}

function parseShard(value: string): SelftestFlags['shard'] {
  const [, i, n] = /^(\d{1,4})\/(\d{1,4})$/.exec(value) ?? [];
  const [share, count] = [Number(i), Number(n)];
  if (!(share >= 1 && share <= count)) {
    throw new InvalidArgumentError('Expected i/n with 1 <= i <= n, e.g. 3/16.');
  }
  return { index: share - 1, count };
}

const isExcluded = ({ status }: ConformanceResult) => status === 'excluded';

/** Thousands of passed comparisons would bury the failed ones. */
function withoutPassedComparisons({ comparisons, ...rest }: ConformanceResult) {
  const maxError = largestError(comparisons);
  if (rest.status !== 'failed') return { ...rest, maxError };
  return { ...rest, maxError, comparisons: comparisons.filter(({ pass }) => !pass) };
}

/** Largest finite distance of an element of `out`. */
function largestError(comparisons: ConformanceResult['comparisons']): number {
  return comparisons
    .filter(({ answer }) => answer === 'out')
    .reduce((worst, { maxAbsolute }) => Math.max(worst, maxAbsolute), 0);
}

function operationTable(
  results: readonly ConformanceResult[],
  { colors: { dim, red }, width }: CommandContext,
): string {
  const operations = [...new Set(results.map(({ op }) => op))];
  return formatTable(
    [
      { title: 'operation' },
      { title: 'passed', align: 'right' },
      { title: 'failed', align: 'right' },
      { title: 'largest error', align: 'right' },
    ],
    operations.map((op) => {
      const own = results.filter((result) => result.op === op);
      const failed = own.filter(({ status }) => status === 'failed').length;
      const worst = Math.max(...own.map(({ comparisons }) => largestError(comparisons)));
      return [
        op,
        String(own.filter(({ status }) => status === 'passed').length),
        failed > 0 ? red(String(failed)) : '0',
        scientific(worst),
      ];
    }),
    { dim, width },
  );
}
