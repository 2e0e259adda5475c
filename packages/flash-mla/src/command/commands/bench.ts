import type { Command } from 'commander';
import type {
  BenchOperation,
  BenchProblem,
  ProblemOptions,
  Scale,
} from '../../ops/bench/operation.ts';
import { checkRoom } from '../../ops/bench/sizes.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
import { benchOperations } from '../../ops/operation-tools.ts';
import type { Device } from '../../runtime/device/device.ts';
import { type Baseline, readBaseline } from '../bench/baseline.ts';
import { highest, measureCeilings, movedCeilings, movedWarning } from '../bench/ceilings.ts';
import { describeDefaults } from '../bench/defaults.ts';
import { measure } from '../bench/measure.ts';
import { addProblemFlags, problemFlags, problemOptions } from '../bench/problem-flags.ts';
import { type BenchResult, type BenchRow, resultJson } from '../bench/result.ts';
import { rooflineSvg } from '../bench/roofline.ts';
import { roomOf, rotation, scaleOf, type Temperature } from '../bench/rotation.ts';
import { ceilingLines, describeProblem, resultTable } from '../bench/table.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import { writeTextFile } from '../files.ts';
import { jsonText } from '../json.ts';
import { machineFacts, packageVersion } from '../machine.ts';
import { addDeviceOptions, type DeviceFlags, openFor } from '../open.ts';
import { list } from '../option-values.ts';
import { addNotes } from '../terminal/help.ts';
import { printable } from '../terminal/printable.ts';
import { startProgress } from '../terminal/progress.ts';
import { hanging } from '../terminal/wrap.ts';

interface BenchFlags extends DeviceFlags, ProblemOptions {
  readonly op?: string[];
  readonly cold?: boolean;
  readonly warm?: boolean;
  readonly compare?: string;
  readonly json?: string | true;
  readonly plot?: string;
}

export async function define(command: Command): Promise<void> {
  const names = Object.keys(benchOperations).join(', ');
  command.argument('<op>', `${names}, or suite`);
  addProblemFlags(command);
  addDeviceOptions(command)
    .option('--op <op>', 'suite: only this operation (may be repeated)', list)
    .option('--cold', 'rotate inputs beyond the last-level cache')
    .option('--warm', 'one set of inputs')
    .option('--compare <file>', 'result file to compare with')
    .option('--json [file]', 'results as JSON to a file, or alone on stdout')
    .option('--plot <file.svg>', 'draw a roofline');
  addNotes(command, [
    'Times are medians per call. Inputs are random normals, scheduling metadata is computed before. ' +
      'Without --cold or --warm: a GPU rotates up to 0.5 GB of inputs, a processor uses one set.',
    'The ceilings that shares refer to (FMA rate, read rate) are measured on the device before and ' +
      'after; where they differ by more than 10 %, a warning on stderr and ceilingsMoved in the JSON say so.',
    '',
    'Defaults (processor/GPU where they differ):',
    ...describeDefaults(Object.values(benchOperations), ['cpu', 'gpu']),
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<BenchFlags>();
  const name = command.args[0] ?? '';
  const operations = chooseOperations(name, flags);
  const baseline = flags.compare === undefined ? undefined : await readBaseline(flags.compare);
  const device = await openFor(flags, context);
  const scale = scaleOf(device);
  const work = operations.flatMap(({ operation, choices }) =>
    choices(scale).map((options) => ({ operation, problem: operation.problem(options, scale) })),
  );
  for (const { problem } of work) {
    checkRoom(problem.footprint, roomOf(device), `device ${device.id}`);
  }
  const temperature: Temperature = flags.cold ? 'cold' : flags.warm ? 'warm' : 'auto';
  const result = await measureAll(work, temperature, device, baseline, context);

  const json = jsonText(resultJson(result), 1);
  // On stdout first: what took minutes to measure is not lost where a file cannot be written.
  if (flags.json === true) context.write(json);
  else writeTable(result, context);
  for (const warning of warningsOf(result)) context.log(`warning: ${warning}`);
  const say = (line: string) =>
    flags.json === true ? context.log(line) : context.write(`${line}\n`);
  if (typeof flags.json === 'string') {
    await writeTextFile(flags.json, json);
    say(`wrote the results to ${printable(flags.json)}`);
  }
  if (flags.plot !== undefined) {
    await writeTextFile(flags.plot, rooflineSvg(result));
    say(`wrote a roofline to ${printable(flags.plot)}`);
  }
  return exitCodes.ok;
}

function writeTable(result: BenchResult, context: CommandContext): void {
  const { colors, width } = context;
  context.write(`${result.device.name}, ${result.device.parallelism} workers\n`);
  context.write(resultTable(result, context));
  for (const line of ceilingLines(result.ceilings)) {
    context.write(`${colors.dim(hanging('', line, width))}\n`);
  }
}

function warningsOf({ ceilingsMoved, comparedWith, rows }: BenchResult): string[] {
  const warnings = [movedWarning(ceilingsMoved)];
  const matched = rows.filter(({ baselineUs }) => baselineUs !== undefined).length;
  if (comparedWith !== undefined && matched < rows.length) {
    const which = matched === 0 ? 'No row' : `Only ${matched} of ${rows.length} rows`;
    warnings.push(
      `${which} could be compared with ${printable(comparedWith)}, which has none of the same operation ` +
        'and the same sizes.',
    );
  }
  return warnings.filter((warning) => warning !== undefined);
}

/** Says no to words that would have no effect. Loads nothing. */
function checkFlags(name: string, flags: BenchFlags): void {
  const known = Object.keys(benchOperations);
  if (name !== 'suite' && !known.includes(name)) {
    throw new UsageError(`There is no operation '${name}': choose ${known.join(', ')} or suite.`);
  }
  for (const op of flags.op ?? []) {
    if (!known.includes(op)) throw new UsageError(`--op ${op}: choose from ${known.join(', ')}.`);
  }
  if (flags.op !== undefined && name !== 'suite') throw new UsageError('--op goes with suite.');
  if (flags.cold && flags.warm) throw new UsageError('Choose --cold or --warm, not both.');
  if (name !== 'suite') return;
  for (const [key, option] of Object.entries(problemFlags)) {
    if (flags[key as keyof ProblemOptions] === undefined) continue;
    throw new UsageError(`${option.long} has no meaning for suite, whose problems are fixed.`);
  }
}

/** An operation, and the problems that the command line asks of it. */
interface Chosen {
  readonly operation: BenchOperation;
  readonly choices: (scale: Scale) => readonly ProblemOptions[];
}

/** Throws {@link UsageError} before any backend is loaded. */
function chooseOperations(name: string, flags: BenchFlags): Chosen[] {
  checkFlags(name, flags);
  const names = name === 'suite' ? (flags.op ?? Object.keys(benchOperations)) : [name];
  return names.flatMap((op) => {
    const operation = benchOperations[op];
    if (operation === undefined) return [];
    if (name === 'suite') return [{ operation, choices: (scale: Scale) => operation.suite(scale) }];
    const options = problemOptions(operation, flags);
    operation.problem(options, 'cpu');
    return [{ operation, choices: () => [options] }];
  });
}

async function measureAll(
  work: readonly { operation: BenchOperation; problem: BenchProblem }[],
  temperature: Temperature,
  device: Device,
  baseline: Baseline | undefined,
  context: CommandContext,
): Promise<BenchResult> {
  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());
  const rows: BenchRow[] = [];
  progress.update(0, work.length, 'ceilings of the device');
  const before = await measureCeilings(device);
  for (const { operation, problem } of work) {
    const label = `${problem.row.op} ${describeProblem(problem.row)}`;
    progress.update(rows.length, work.length, label);
    const { copies, calls, cold } = rotation(device, problem, temperature);
    const prepared = await operation.prepare(device, problem, copies);
    try {
      const { signal } = context;
      const time = await measure(device, prepared, { copies, calls, signal });
      const { row, flops, bytes } = problem;
      rows.push({ row, flops, bytes, cold, copies, baselineUs: baseline?.timeOf(row), ...time });
    } finally {
      prepared.dispose();
    }
  }
  progress.update(rows.length, work.length, 'ceilings of the device');
  const after = await measureCeilings(device);
  progress.stop();
  const { id, info } = device;
  return {
    date: new Date().toISOString(),
    version: packageVersion(),
    device: { id, name: info.name, parallelism: info.parallelism },
    machine: machineFacts(),
    ceilings: highest(before, after),
    ceilingsMoved: movedCeilings(before, after),
    comparedWith: baseline?.path,
    rows,
  };
}
