import { freemem } from 'node:os';
import type { ModelConfig, Parameters } from '@flash-mla/models';
import { type Command, Option } from 'commander';
import { byteSize, significant } from '../../ops/bench/numbers.ts';
import { packedRows } from '../../runtime/tensor/packed-rows.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import { jsonText } from '../json.ts';
import { copyBandwidth } from '../models/copy-bandwidth.ts';
import {
  addCacheDTypeOption,
  addHiSparseOptions,
  demoModel,
  hiSparseOf,
  type ModelFlags,
  refuseCacheDType,
} from '../models/options.ts';
import { integer, number } from '../option-values.ts';
import { addNotes } from '../terminal/help.ts';
import { formatTable } from '../terminal/table.ts';

interface EstimateFlags extends Pick<ModelFlags, 'hisparse' | 'hisparseConfig' | 'kvCacheDtype'> {
  readonly dtype: 'f32' | 'bf16' | 'fp8';
  readonly context: number;
  readonly memory?: number;
  readonly bandwidth?: number;
  readonly json?: boolean;
}

const weightBytes = { f32: 4, bf16: 2, fp8: 1 } as const;
/** Of a value of the cache, which is bf16 for an FP8 model too unless packed rows are asked for. */
const cacheBytes = { f32: 4, bf16: 2, fp8: 2 } as const;
/** Tokens of a page on every device. */
const pageSize = 64;
/** Of an index key, with its scale. */
const indexKeyBytes = { f32: 512, e4m3: 132 };

export function define(command: Command): void {
  command
    .argument('[model]', `a Hugging Face folder or an installed package (default: ${demoModel})`)
    .addOption(
      new Option('--dtype <dtype>', 'of weights and cache')
        .choices(['f32', 'bf16', 'fp8'])
        .default('f32'),
    )
    .option('--context <n>', 'tokens of the sequence that is decoded', integer(1, 2 ** 26), 1024)
    .option(
      '--memory <GiB>',
      'of the device (default: free memory of this machine)',
      number(0.001, 1e6),
    )
    .option('--bandwidth <GB/s>', 'of its memory (default: measured here)', number(0.001, 1e6))
    .option('--json', 'print JSON only');
  addHiSparseOptions(addCacheDTypeOption(command));
  addNotes(command, [
    'Reads config.json only. The ceiling of decoding is the memory’s bandwidth divided by the bytes that a ' +
      'token reads: the weights it uses and the cache before it. Computing takes its time beside that.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<EstimateFlags>();
  const { cacheValuesPerToken, findModel, indexKeysPerToken, parametersOf, readConfig } =
    await import('@flash-mla/models');
  const name = command.args[0] ?? demoModel;
  const config = await readConfig(await findModel(name));
  const parameters = parametersOf(config);
  const isPacked = flags.kvCacheDtype === 'fp8';
  if (flags.dtype === 'f32') refuseCacheDType(flags.kvCacheDtype);
  if (isPacked) (await import('../../models/cache-rows.ts')).checkCacheRows(config, 'fp8');
  const cache = {
    rows: isPacked
      ? config.numLayers * packedRows.v32.rowBytes
      : cacheValuesPerToken(config) * cacheBytes[flags.dtype],
    indexKeys:
      indexKeysPerToken(config) * (flags.dtype === 'f32' ? indexKeyBytes.f32 : indexKeyBytes.e4m3),
  };
  const wanted = hiSparseOf(flags);
  const json = wanted === true ? '{}' : wanted;
  const options =
    json === false
      ? undefined
      : (await import('@flash-mla/engine')).parseHiSparseConfig(json, {
          ...{ indexTopK: config.indexer?.topK, pageSize },
        });
  const whole = estimate(config, parameters, cache, flags);
  const found = {
    ...whole,
    ...(options && { hisparse: hiSparse(whole, cache, flags.context, options.deviceBufferSize) }),
  };
  if (flags.json) context.write(jsonText({ model: name, family: config.family, ...found }));
  else context.write(text(name, config, found, flags, context));
  return exitCodes.ok;
}

function estimate(
  { maxPositions, indexer }: ModelConfig,
  parameters: Parameters,
  cache: { readonly rows: number; readonly indexKeys: number },
  flags: EstimateFlags,
) {
  const bytes = weightBytes[flags.dtype];
  const memory = flags.memory === undefined ? freemem() : flags.memory * 2 ** 30;
  const bandwidth = flags.bandwidth === undefined ? copyBandwidth() : flags.bandwidth * 1e9;
  const weights = parameters.total * bytes;
  const cachePerToken = cache.rows + cache.indexKeys;
  const room = Math.floor((memory - weights) / cachePerToken);
  // With an indexer a token reads all index keys, and the rows that are chosen by them.
  const rowsRead = Math.min(flags.context, indexer?.topK ?? flags.context);
  const cacheRead = rowsRead * cache.rows + flags.context * cache.indexKeys;
  const bytesPerToken = parameters.active * bytes + cacheRead;
  return {
    dtype: flags.dtype,
    parameters,
    weightBytes: weights,
    cacheBytesPerToken: cachePerToken,
    memoryBytes: memory,
    fits: room > 0,
    longestContext: Math.max(0, Math.min(maxPositions, room)),
    context: flags.context,
    bandwidth,
    tokensPerSecond: bandwidth / bytesPerToken,
  };
}

/** How many sequences of a context fit, with hot buffers of so many tokens and without. */
function hiSparse(
  { memoryBytes, weightBytes: weights, cacheBytesPerToken }: ReturnType<typeof estimate>,
  cache: { readonly rows: number; readonly indexKeys: number },
  context: number,
  bufferTokens: number,
) {
  const pages = Math.ceil(context / pageSize) * pageSize;
  // The newest token has a page of its own behind a full buffer.
  const kept = Math.min(pages, bufferTokens + pageSize);
  const deviceBytes = pages * cache.indexKeys + kept * cache.rows;
  const room = Math.max(0, memoryBytes - weights);
  return {
    deviceBytesPerSequence: deviceBytes,
    hostBytesPerSequence: pages * cache.rows,
    sequences: Math.floor(room / deviceBytes),
    sequencesWithout: Math.floor(room / (pages * cacheBytesPerToken)),
  };
}

/** What is known of a model, with HiSparse's part where it was asked for. */
type Found = ReturnType<typeof estimate> & { readonly hisparse?: ReturnType<typeof hiSparse> };

function text(
  name: string,
  config: ModelConfig,
  found: Found,
  flags: EstimateFlags,
  { colors, width }: CommandContext,
): string {
  const { parameters, cacheBytesPerToken } = found;
  const bytes = weightBytes[flags.dtype];
  const part = (title: string, count: number) => [title, counted(count), byteSize(count * bytes)];
  const rows = [
    part('embedding', parameters.embedding),
    part('output head', parameters.head),
    part('attention', parameters.attention),
    part('dense MLPs', parameters.denseMlps),
    part('routed experts', parameters.routedExperts),
    part('shared experts', parameters.sharedExperts),
    part('norms and routers', parameters.others),
    part('all weights', parameters.total),
    part('of these read for a token', parameters.active),
    ['cache for 1024 tokens', '', byteSize(1024 * cacheBytesPerToken)],
  ].filter(([, , size]) => size !== '0 B');
  const columns = [
    { title: 'part' },
    { title: 'parameters', align: 'right' },
    { title: flags.dtype, align: 'right' },
  ] as const;
  const fits = found.fits
    ? `fits into ${byteSize(found.memoryBytes)}; longest context ${found.longestContext} tokens`
    : colors.red(`does not fit into ${byteSize(found.memoryBytes)}`);
  const ceiling =
    `ceiling of decoding at a context of ${found.context}: ` +
    `${significant(found.tokensPerSecond)} tokens/s (${significant(found.bandwidth / 1e9)} GB/s)`;
  const { hisparse } = found;
  const hosted = hisparse
    ? `HiSparse: ${hisparse.sequences} sequences of ${found.context} tokens fit, ${hisparse.sequencesWithout} ` +
      `without; each takes ${byteSize(hisparse.deviceBytesPerSequence)} of the device and ` +
      `${byteSize(hisparse.hostBytesPerSequence)} of the host\n`
    : '';
  const table = formatTable(columns, rows, { dim: colors.dim, width });
  return `${colors.bold(name)} (${config.family}, ${config.numLayers} layers)\n\n${table}\n${fits}\n${ceiling}\n${hosted}`;
}

/** `15.7 B`, `8.39 M`. */
function counted(count: number): string {
  if (count >= 1e9) return `${significant(count / 1e9)} B`;
  if (count >= 1e6) return `${significant(count / 1e6)} M`;
  return `${count}`;
}
