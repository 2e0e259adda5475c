import { type Command, Option } from 'commander';
import type { HiSparseProblem, HiSparseTimes } from '../../models/bench/measure-hisparse.ts';
import { type ModelCacheDType, modelCacheDTypes } from '../../models/cache-dtype.ts';
import { byteSize, percent, significant } from '../../ops/bench/numbers.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
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

interface HiSparseBenchFlags extends DeviceFlags, ShapeFlags {
  readonly context: number;
  readonly memory: number;
  readonly bufferSize?: number;
  readonly swapInBlockSize: number;
  readonly kvCacheDtype: ModelCacheDType;
  readonly tokens: HiSparseProblem['tokens'];
  readonly seconds: number;
  readonly json?: string | true;
}

/** Tokens of a page on every device. */
const pageSize = 64;

export function define(command: Command): void {
  command
    .optionsGroup('Model:')
    .option('--shape <name>', `${shapeNames.join(', ')}, or a model’s folder`, 'deepseek-v3.2')
    .option('--layers <n>', 'only so many layers', integer(1, 1024), 4)
    .addOption(
      new Option('--kv-cache-dtype <dtype>', 'rows of the cache')
        .choices(modelCacheDTypes)
        .default('fp8'),
    )
    .optionsGroup('Problem:')
    .option('--context <n>', 'tokens before those that are decoded', integer(1, 2 ** 20), 32_768)
    .option('--memory <GiB>', 'of the device for K/V, index keys and tables', number(1e-6, 1e4), 4)
    .option(
      '--buffer-size <n>',
      'tokens of a hot buffer (default: 1.5 × top-k)',
      integer(1, 32_767),
    )
    .option('--swap-in-block-size <n>', 'threads of a swap-in', integer(32, 1024), 512)
    .addOption(
      new Option('--tokens <which>', 'repeated: choices change slowly; drawn: with every token')
        .choices(['repeated', 'drawn'])
        .default('repeated'),
    )
    .optionsGroup('Measurement:')
    .option('--seconds <s>', 'to measure each way for', number(0, 600), 3);
  addDeviceOptions(command).option(
    '--json [file]',
    'results as JSON to a file, or alone on stdout',
  );
  addNotes(command, [
    'Decodes with HiSparse and without, each with as many sequences as the memory holds. Weights are random, in ' +
      'bf16, and made on the device; so are the sequences. How much is swapped in depends on how the choices ' +
      'change from step to step, which random weights do not tell: the misses are part of the result.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<HiSparseBenchFlags>();
  const config = await shapeConfig(flags);
  const { hiSparseOptions } = await import('@flash-mla/engine');
  const { topK } = config.indexer ?? {};
  const bufferSize =
    flags.bufferSize ?? Math.ceil((1.5 * (topK ?? pageSize)) / pageSize) * pageSize;
  const hisparse = hiSparseOptions(
    { device_buffer_size: bufferSize, swap_in_block_size: flags.swapInBlockSize },
    { indexTopK: topK, pageSize },
  );
  const { checkCacheRows } = await import('../../models/cache-rows.ts');
  checkCacheRows(config, flags.kvCacheDtype);
  const problem: HiSparseProblem = {
    ...{ context: flags.context, deviceBytes: flags.memory * 2 ** 30 },
    ...{ deviceBufferSize: hisparse.deviceBufferSize, tokens: flags.tokens },
    ...{ swapInBlockSize: hisparse.swapInBlockSize, kvCacheDType: flags.kvCacheDtype },
  };
  const device = await openFor(flags, context);
  if (device.info.backend === 'webgpu')
    throw new UsageError('--device webgpu: HiSparse needs memory of the host (cpu, cuda or sim).');
  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());
  progress.update(0, 3, 'weights');
  const { HiSparseBench } = await import('../../models/bench/measure-hisparse.ts');
  using bench = new HiSparseBench(device, config, hisparse.topK);
  for (const isHot of [false, true]) {
    if (bench.sizes(problem, isHot).requests < 1)
      throw new UsageError(
        `--memory ${flags.memory}: not one sequence of ${flags.context} tokens.`,
      );
  }
  const measure = async (isHot: boolean, done: number) => {
    progress.update(done, 3, isHot ? 'with HiSparse' : 'without');
    const options = { seconds: flags.seconds, signal: context.signal };
    return bench.measure(problem, isHot, options);
  };
  const without = await measure(false, 1);
  const withIt = await measure(true, 2);
  progress.stop();
  const { id, name } = device.info;
  const result = {
    ...{ date: new Date().toISOString(), version: packageVersion(), device: { id, name } },
    ...{ machine: machineFacts(), shape: flags.shape, layers: config.numLayers, ...problem },
    ...{ without: jsonRow(without), with: jsonRow(withIt), ...gainOf(without, withIt) },
  };
  if (typeof flags.json === 'string') await writeTextFile(flags.json, jsonText(result));
  if (flags.json === true) context.write(jsonText(result));
  else context.write(`${name}, ${flags.shape}\n${tableOf(without, withIt, context)}`);
  return exitCodes.ok;
}

/** How many times the requests, and the share of each one's tokens a second. */
function gainOf(without: HiSparseTimes, withIt: HiSparseTimes) {
  const each = ({ requests, times }: HiSparseTimes) => times.tokensPerSecond / requests;
  return {
    timesTheRequests: withIt.requests / without.requests,
    shareOfTokensPerSecond: each(withIt) / each(without),
  };
}

function jsonRow({ times, hits, misses, ...row }: HiSparseTimes) {
  return {
    ...row,
    ...{ us: 1000 * times.median, us_min: 1000 * times.min, samples: times.steps },
    tokens_per_second: times.tokensPerSecond,
    tokens_per_second_of_a_request: times.tokensPerSecond / row.requests,
    ...{ hits, misses, hit_rate: hits + misses > 0 ? hits / (hits + misses) : null },
  };
}

function tableOf(
  without: HiSparseTimes,
  withIt: HiSparseTimes,
  { colors, width }: CommandContext,
): string {
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = [
    ...[{ title: 'K/V' }, right('requests'), right('device'), right('host'), right('ms')],
    ...[right('tokens/s'), right('of a request'), right('missed'), right('a step'), right('GB/s')],
  ];
  const cells = (title: string, row: HiSparseTimes) => {
    const { requests, deviceBytes, hostBytes, times, hits, misses, bytesPerStep } = row;
    const looked = hits + misses;
    const ofHost =
      looked === 0
        ? ['', '', '']
        : [
            percent(misses / looked),
            byteSize(bytesPerStep),
            significant(bytesPerStep / times.median / 1e6),
          ];
    return [
      ...[title, `${requests}`, byteSize(deviceBytes), hostBytes > 0 ? byteSize(hostBytes) : ''],
      ...[significant(times.median), significant(times.tokensPerSecond)],
      ...[significant(times.tokensPerSecond / requests), ...ofHost],
    ];
  };
  const { timesTheRequests, shareOfTokensPerSecond } = gainOf(without, withIt);
  const rows = [cells('on the device', without), cells('HiSparse', withIt)];
  const gain =
    `${significant(timesTheRequests)} times the requests at ${percent(shareOfTokensPerSecond)} of the ` +
    'tokens/s of each\n';
  return `${formatTable(columns, rows, { dim: colors.dim, width })}\n${gain}`;
}
