import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ConformanceResult, runConformance, selectCases } from '../../cases/index.ts';
import { jsonText } from '../cases/report.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes, UsageError } from '../errors.ts';
import { packageVersion } from '../machine.ts';
import { addDeviceOptions, type DeviceFlags, openFor } from '../open.ts';
import type { Colors } from '../terminal/colors.ts';
import { scientific } from '../terminal/numbers.ts';
import { startProgress } from '../terminal/progress.ts';
import { formatTable } from '../terminal/table.ts';

interface SelftestFlags extends DeviceFlags {
  readonly suite: 'quick' | 'full';
  readonly filter?: string;
  readonly shard?: { readonly index: number; readonly count: number };
  readonly json?: boolean;
}

export function define(command: Command): void {
  addDeviceOptions(command)
    .addOption(
      new Option('--suite <suite>', 'which cases').choices(['quick', 'full']).default('quick'),
    )
    .option('--filter <text>', 'only cases whose names contain these words')
    .option('--shard <i/n>', 'the i-th of n equal shares, for processes side by side', parseShard)
    .option('--json', 'print JSON only')
    .addHelpText(
      'after',
      '\nThe conformance suite: every operation against the float64 reference, within the bounds of\nFlashMLA’s own tests. quick takes minutes; full covers the whole grid and may take hours.',
    );
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<SelftestFlags>();
  const selection = { suite: flags.suite, filter: flags.filter, shard: flags.shard };
  if (selectCases(selection).length === 0) {
    throw new UsageError(
      `--filter ${flags.filter}: no case of the ${flags.suite} suite has that name.`,
    );
  }
  const device = await openFor(flags, context);
  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());
  const { red } = context.colors;
  const started = performance.now();
  const results: ConformanceResult[] = [];
  const { signal } = context;
  const onProgress = (at: { done: number; total: number; name: string }) =>
    progress.update(at.done, at.total, at.name);
  for await (const result of runConformance(device, { ...selection, signal, onProgress })) {
    results.push(result);
    if (result.status !== 'failed' || flags.json) continue;
    progress.stop();
    context.write(`${red('FAIL')} ${result.name}: ${result.message}\n`);
  }
  progress.stop();
  const seconds = (performance.now() - started) / 1e3;
  const count = (status: ConformanceResult['status']) =>
    results.filter((result) => result.status === status).length;
  const totals = { passed: count('passed'), failed: count('failed'), excluded: count('excluded') };

  if (flags.json) {
    const cases = results.map(withoutPassedComparisons);
    const { id, info } = device;
    const version = packageVersion();
    context.write(
      jsonText({ version, device: { id, name: info.name }, ...selection, seconds, totals, cases }),
    );
  } else {
    const { name, parallelism } = device.info;
    context.write(`${name} (${device.id}, ${parallelism} workers), ${flags.suite} suite\n`);
    context.write(operationTable(results, context.colors));
    for (const { name: excluded, message } of results.filter(isExcluded)) {
      context.write(`excluded: ${excluded}: ${message}\n`);
    }
    const excluded = totals.excluded > 0 ? `, ${totals.excluded} excluded` : '';
    context.write(
      `${totals.passed} passed, ${totals.failed} failed${excluded} in ${seconds.toFixed(1)} s\n`,
    );
  }
  return totals.failed === 0 ? exitCodes.ok : exitCodes.failed;
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

function operationTable(results: readonly ConformanceResult[], { dim, red }: Colors): string {
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
    dim,
  );
}
