import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { Device } from '../../device.ts';
import { type Baseline, readBaseline } from '../bench/baseline.ts';
import { measure } from '../bench/measure.ts';
import {
  type BenchOperation,
  type BenchProblem,
  benchOperations,
  type ProblemOptions,
  type Scale,
} from '../bench/operation.ts';
import { type BenchResult, type BenchRow, resultJson } from '../bench/result.ts';
import { rooflineSvg } from '../bench/roofline.ts';
import { rotation, scaleOf, type Temperature } from '../bench/rotation.ts';
import { ceilingLines, describeProblem, resultTable } from '../bench/table.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes, UsageError } from '../errors.ts';
import { machineFacts, packageVersion } from '../machine.ts';
import { addDeviceOptions, type DeviceFlags, openFor } from '../open.ts';
import { integer, list } from '../option-values.ts';
import { startProgress } from '../terminal/progress.ts';

interface BenchFlags extends DeviceFlags, ProblemOptions {
  readonly op?: string[];
  readonly cold?: boolean;
  readonly warm?: boolean;
  readonly compare?: string;
  readonly json?: string | true;
  readonly plot?: string;
}

/** Options that describe a problem; each operation takes some of them. */
const problemFlags: Readonly<Record<keyof ProblemOptions, Option>> = {
  b: new Option('--b <n>', 'requests').argParser(integer(1)),
  sQ: new Option('--s-q <n>', 'queries per request').argParser(integer(1)),
  hQ: new Option('--h-q <n>', 'query heads').argParser(integer(1)),
  hKv: new Option('--h-kv <n>', 'KV heads').argParser(integer(1)),
  sK: new Option('--s-k <n>', 'tokens of a request in the cache').argParser(integer(1)),
  dQk: new Option('--d-qk <n>', 'columns of q and of a cache row').argParser(integer(1)),
  dV: new Option('--d-v <n>', 'columns of V').argParser(integer(1)),
  topk: new Option('--topk <n>', 'tokens that a query attends to').argParser(integer(1)),
  extraTopk: new Option('--extra-topk <n>', 'of a second cache').argParser(integer(0)),
  extraLen: new Option('--extra-len', 'random lengths of the extra indices'),
  kvLayout: new Option('--kv-layout <layout>', 'rows of the cache').choices([
    'v32',
    'model1',
    'bf16',
  ]),
  pageSize: new Option('--page-size <n>', 'tokens of a block').argParser(integer(1)),
  extraPageSize: new Option('--extra-page-size <n>', 'of the second cache').argParser(integer(1)),
  varlen: new Option('--varlen', 'lengths from s-k/8 to 15·s-k/8'),
  causal: new Option('--causal', 'causal mask, aligned to the end'),
  dtype: new Option('--dtype <dtype>', 'of q and the cache').choices(['bf16', 'f16', 'e4m3']),
};

export function define(command: Command): void {
  const names = Object.keys(benchOperations).join(', ');
  command.argument('<op>', `${names}, or suite`);
  for (const option of Object.values(problemFlags)) command.addOption(option);
  addDeviceOptions(command)
    .option('--op <op>', 'suite: only this operation (may be repeated)', list)
    .option('--cold', 'rotate inputs beyond the last-level cache')
    .option('--warm', 'one set of inputs')
    .option('--compare <file>', 'result file to compare with')
    .option('--json [file]', 'results as JSON to a file, or alone on stdout')
    .option('--plot <file.svg>', 'draw a roofline')
    .addHelpText(
      'after',
      '\nTimes are medians per call. Inputs are random normals, scheduling metadata is computed before.\n' +
        'Without --cold or --warm: a GPU rotates up to 0.5 GB of inputs, a processor uses one set.',
    );
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<BenchFlags>();
  const name = command.args[0] ?? '';
  const operations = await chooseOperations(name, flags);
  const baseline = flags.compare === undefined ? undefined : await readBaseline(flags.compare);
  const device = await openFor(flags, context);
  const scale = scaleOf(device);
  const work = operations.flatMap(({ operation, choices }) =>
    choices(scale).map((options) => ({ operation, problem: operation.problem(options, scale) })),
  );
  const temperature: Temperature = flags.cold ? 'cold' : flags.warm ? 'warm' : 'auto';
  const result = await measureAll(work, temperature, device, baseline, context);

  const json = `${JSON.stringify(resultJson(result), null, 1)}\n`;
  if (typeof flags.json === 'string') await writeFile(flags.json, json);
  if (flags.plot !== undefined) await writeFile(flags.plot, rooflineSvg(result));
  if (flags.json === true) {
    context.write(json);
    return exitCodes.ok;
  }
  const { dim } = context.colors;
  context.write(`${device.info.name}, ${device.info.parallelism} workers\n`);
  context.write(resultTable(result, context.colors));
  for (const line of ceilingLines(result.ceilings)) context.write(`${dim(line)}\n`);
  return exitCodes.ok;
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
async function chooseOperations(name: string, flags: BenchFlags): Promise<Chosen[]> {
  checkFlags(name, flags);
  const names = name === 'suite' ? (flags.op ?? Object.keys(benchOperations)) : [name];
  return Promise.all(
    names.map(async (op) => {
      const operation = await (benchOperations[op] as () => Promise<BenchOperation>)();
      if (name === 'suite') return { operation, choices: (scale: Scale) => operation.suite(scale) };
      const options = problemOptions(operation, flags);
      operation.problem(options, 'cpu');
      return { operation, choices: () => [options] };
    }),
  );
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
  const ceilings = (await device.backend.measurements?.ceilings?.()) ?? {};
  progress.stop();
  const { id, info } = device;
  return {
    date: new Date().toISOString(),
    version: packageVersion(),
    device: { id, name: info.name, parallelism: info.parallelism },
    machine: machineFacts(),
    ceilings,
    comparedWith: baseline?.path,
    rows,
  };
}

/** The options of a problem; throws for one that the operation has no use for. */
function problemOptions(operation: BenchOperation, flags: BenchFlags): ProblemOptions {
  const options: Record<string, unknown> = {};
  for (const key of Object.keys(problemFlags) as (keyof ProblemOptions)[]) {
    if (flags[key] === undefined) continue;
    if (!operation.accepts.includes(key)) {
      const useful = operation.accepts.map((accepted) => problemFlags[accepted].long).join(', ');
      throw new UsageError(
        `${problemFlags[key].long} has no meaning for ${operation.name}, which takes ${useful}.`,
      );
    }
    options[key] = flags[key];
  }
  return options as ProblemOptions;
}
