import { EngineOptionError } from '../errors.ts';
import { checkSwapInSizes } from './sizes.ts';

/** How the K/V of sequences is divided between the device and the host. */
export interface HiSparseOptions {
  /** K: tokens that a query attends to. The model decides it. */
  readonly topK: number;
  /** H: tokens of a sequence that stay on the device, the newest not counted. A multiple of the page size. */
  readonly deviceBufferSize: number;
  /** Pages of the host pool for each page of the device. At least 1. */
  readonly hostToDeviceRatio: number;
  /** Threads of a CTA of the swap-in kernel: a multiple of 32 up to 1024. */
  readonly swapInBlockSize: number;
}

/** What of a model and of its cache decides about HiSparse. */
export interface HiSparseModel {
  /** Tokens that the model's indexer chooses (`index_topk`); undefined for a model without one. */
  readonly indexTopK: number | undefined;
  /** Tokens in a page. */
  readonly pageSize: number;
}

const entriesPerThread = 64;

const keys = ['top_k', 'device_buffer_size', 'host_to_device_ratio', 'swap_in_block_size'] as const;
type Config = Partial<Record<(typeof keys)[number], number>>;

/**
 * Reads the JSON of `--hisparse-config`: an object with any of `top_k`, `device_buffer_size`,
 * `host_to_device_ratio` and `swap_in_block_size`. By default these are what the model's indexer chooses,
 * twice that in whole pages, 2 and 512.
 *
 * @throws EngineOptionError if the JSON is malformed, a value is impossible or none of HiSparse's, or the
 * model has no indexer or chooses another number of tokens.
 */
export function parseHiSparseConfig(json: string, model: HiSparseModel): HiSparseOptions {
  return hiSparseOptions(readConfig(json), model);
}

/** The options with their defaults for a model. @throws EngineOptionError like `parseHiSparseConfig`. */
export function hiSparseOptions(config: Config, model: HiSparseModel): HiSparseOptions {
  const { indexTopK, pageSize } = model;
  if (indexTopK === undefined)
    throw refuse(
      'the model',
      'one with an indexer (index_topk)',
      'one without',
      'Serve this model without HiSparse.',
    );
  const topK = config.top_k ?? indexTopK;
  if (topK !== indexTopK)
    throw refuse('top_k', `${indexTopK}, which the model's indexer chooses`, topK);
  const options: HiSparseOptions = {
    topK,
    deviceBufferSize: config.device_buffer_size ?? Math.ceil((2 * topK) / pageSize) * pageSize,
    hostToDeviceRatio: config.host_to_device_ratio ?? 2,
    swapInBlockSize: config.swap_in_block_size ?? 512,
  };
  checkHiSparse(options, pageSize);
  return options;
}

/** @throws EngineOptionError for values that could not work. */
export function checkHiSparse(options: HiSparseOptions, pageSize: number): void {
  const { topK, deviceBufferSize, hostToDeviceRatio, swapInBlockSize } = options;
  checkSwapInSizes({ topK, bufferSize: deviceBufferSize, pageSize });
  if (!(hostToDeviceRatio >= 1 && Number.isFinite(hostToDeviceRatio)))
    throw refuse('host_to_device_ratio', 'a number of at least 1', hostToDeviceRatio);
  const isBlock = swapInBlockSize % 32 === 0 && swapInBlockSize >= 32 && swapInBlockSize <= 1024;
  // A thread looks after so many entries of the top-k at most.
  const least = Math.max(32, Math.ceil(topK / (32 * entriesPerThread)) * 32);
  if (!isBlock || swapInBlockSize < least)
    throw refuse('swap_in_block_size', `a multiple of 32 from ${least} to 1024`, swapInBlockSize);
}

/**
 * Pages of a device that serves at least one request: page 0, which is reserved, and a hot buffer.
 *
 * @throws EngineOptionError where the device has fewer.
 */
export function checkHiSparseRoom(
  { deviceBufferSize }: HiSparseOptions,
  { pageSize, totalPages }: { readonly pageSize: number; readonly totalPages: number },
): void {
  const least = pagesOfFullBuffer(deviceBufferSize, pageSize);
  if (totalPages > least) return;
  throw refuse(
    'the device cache',
    `at least ${least * pageSize} tokens (one hot buffer)`,
    (totalPages - 1) * pageSize,
    'Give the cache more tokens, or make device_buffer_size smaller.',
  );
}

/** Pages of a hot buffer: H slots and, in a page of its own, the newest token. */
export function pagesOfFullBuffer(bufferSize: number, pageSize: number): number {
  return bufferSize / pageSize + 1;
}

function readConfig(json: string): Config {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw refuse('the configuration', 'a JSON object', JSON.stringify(json), undefined, cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse('the configuration', 'a JSON object', json);
  const config: Config = {};
  for (const [name, entry] of Object.entries(value)) {
    const key = keys.find((known) => known === name);
    if (key === undefined) throw refuse('the configuration', keys.join(', '), name);
    if (typeof entry !== 'number') throw refuse(key, 'a number', JSON.stringify(entry));
    config[key] = entry;
  }
  return config;
}

function refuse(
  what: string,
  expected: string,
  actual: unknown,
  remedy = 'Change the configuration of HiSparse.',
  cause?: unknown,
): EngineOptionError {
  const subject = `${what} of HiSparse`;
  return new EngineOptionError({ subject, expected, actual: String(actual), remedy }, { cause });
}
