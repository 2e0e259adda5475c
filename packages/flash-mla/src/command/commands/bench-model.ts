import { type Command, Option } from 'commander';
import type { ModelProblem, ModelTimes } from '../../models/bench/measure-model.ts';
import { stepCost } from '../../models/bench/roofline.ts';
import { byteSize, percent, significant } from '../../ops/bench/numbers.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
import { measureCeilings } from '../bench/ceilings.ts';
import { type ShapeFlags, shapeConfig, shapeNames } from '../bench/model-shape.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import { writeTextFile } from '../files.ts';
import { jsonText } from '../json.ts';
import { machineFacts, packageVersion } from '../machine.ts';
import { addDeviceOptions, type DeviceFlags, openFor } from '../open.ts';
import { integer, number } from '../option-values.ts';
import { addNotes } from '../terminal/help.ts';
import { startProgress } from '../terminal/progress.ts';
import { formatTable } from '../terminal/table.ts';

interface ModelBenchFlags extends DeviceFlags, ShapeFlags {
  readonly phase: readonly ModelProblem['phase'][];
  readonly b: readonly number[];
  readonly context: number;
  readonly seconds: number;
  readonly bandwidth?: number;
  readonly json?: string | true;
}

/** A measured problem, and what it took at least. */
interface Row extends ModelProblem {
  readonly times: ModelTimes;
  readonly bytes: number;
  readonly flops: number;
}

const phases = ['decode', 'prefill'] as const;

export function define(command: Command): void {
  const sizes = (text: string) => text.split(',').map((part) => integer(1, 4096)(part));
  command
    .optionsGroup('Model:')
    .option('--shape <name>', `${shapeNames.join(', ')}, or a model’s folder`, shapeNames[0])
    .option('--layers <n>', 'only so many layers', integer(1, 1024))
    .optionsGroup('Problem:')
    .addOption(
      new Option('--phase <phase>', 'decode: a token of each; prefill: prompts')
        .choices(phases)
        .argParser((text) => checkPhase(text))
        .default(phases, 'both'),
    )
    .option('--b <n,…>', 'sequences, each number by itself', sizes, [1])
    .option('--context <n>', 'tokens before, or of a prompt', integer(1, 2 ** 20), 1024)
    .optionsGroup('Measurement:')
    .option('--seconds <s>', 'to measure each problem for', number(0, 600), 1)
    .option('--bandwidth <GB/s>', 'that shares refer to (default: measured)', number(0.001, 1e6));
  addDeviceOptions(command).option(
    '--json [file]',
    'results as JSON to a file, or alone on stdout',
  );
  addNotes(command, [
    'Weights are random, in bf16, and made on the device. Steps run as in an engine, the likeliest token of ' +
      'each row goes on. The share is that of the time that the memory needs for the bytes of a step: ' +
      'weights once, experts as many as even choices reach, and the cache.',
  ]);
}

function checkPhase(text: string): readonly ModelProblem['phase'][] {
  const found = phases.filter((phase) => phase === text);
  if (found.length === 0) throw new UsageError(`--phase ${text}: choose decode or prefill.`);
  return found;
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<ModelBenchFlags>();
  const config = await shapeConfig(flags);
  const problems = flags.phase.flatMap((phase) =>
    flags.b.map((b): ModelProblem => ({ phase, b, context: flags.context })),
  );
  const device = await openFor(flags, context);
  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());
  progress.update(0, problems.length, 'ceilings of the device');
  const bandwidth =
    flags.bandwidth === undefined
      ? (await measureCeilings(device)).readBytesPerSecond
      : flags.bandwidth * 1e9;
  progress.update(0, problems.length, 'weights');
  const { ModelBench } = await import('../../models/bench/measure-model.ts');
  using bench = new ModelBench(device, config);
  const rows: Row[] = [];
  for (const problem of problems) {
    const { phase, b } = problem;
    progress.update(rows.length, problems.length, `${phase} b=${b}`);
    const times = await bench.measure(problem, {
      seconds: flags.seconds,
      signal: context.signal,
    });
    const [tokens, before] = phase === 'decode' ? [1, problem.context] : [problem.context, 0];
    rows.push({ ...problem, times, ...stepCost(config, b, tokens, before) });
  }
  progress.stop();
  const { id, name } = device.info;
  const result = {
    ...{ date: new Date().toISOString(), version: packageVersion(), device: { id, name } },
    ...{ machine: machineFacts(), shape: flags.shape, layers: config.numLayers, bandwidth },
    rows: rows.map((row) => jsonRow(row, bandwidth)),
  };
  if (typeof flags.json === 'string') await writeTextFile(flags.json, jsonText(result));
  if (flags.json === true) context.write(jsonText(result));
  else context.write(`${name}, ${flags.shape}\n${tableOf(rows, bandwidth, context)}\n`);
  return exitCodes.ok;
}

const shareOf = ({ bytes, times }: Row, bandwidth: number | undefined) =>
  bandwidth === undefined ? undefined : bytes / bandwidth / (times.median / 1000);

function jsonRow(row: Row, bandwidth: number | undefined) {
  const { phase, b, context, bytes, flops, times } = row;
  return {
    ...{ op: `model_${phase}`, b, context, us: 1000 * times.median, us_min: 1000 * times.min },
    ...{ samples: times.steps, tokens_per_second: times.tokensPerSecond, bytes, flops },
    ...{ gbps: bytes / times.median / 1e6, tflops: flops / times.median / 1e9 },
    share: shareOf(row, bandwidth) ?? null,
  };
}

function tableOf(rows: readonly Row[], bandwidth: number | undefined, context: CommandContext) {
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = [
    ...[{ title: 'phase' }, right('b'), right('context'), right('ms'), right('least')],
    ...[right('tokens/s'), right('bytes'), right('GB/s'), right('TFLOP/s'), right('share')],
  ];
  const cells = rows.map((row) => {
    const { phase, b, context: tokens, bytes, flops, times } = row;
    const share = shareOf(row, bandwidth);
    return [
      ...[phase, `${b}`, `${tokens}`, significant(times.median), significant(times.min)],
      ...[significant(times.tokensPerSecond), byteSize(bytes)],
      ...[significant(bytes / times.median / 1e6), significant(flops / times.median / 1e9)],
      share === undefined ? '' : percent(share),
    ];
  });
  return formatTable(columns, cells, { dim: context.colors.dim, width: context.width });
}
