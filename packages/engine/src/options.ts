import { EngineOptionError } from './errors.ts';
import { checkHiSparse, checkHiSparseRoom, type HiSparseOptions } from './hisparse/options.ts';
import { defaultBatchSizes } from './runner/batch-sizes.ts';

export interface EngineOptions {
  /** Pages of the device's KV cache. Page 0 is never given out: it takes what padded rows write. */
  readonly totalPages: number;
  /** The longest sequence the model can hold, prompt and output together. */
  readonly maxModelLength: number;
  /** Tokens in a page. Default 64. */
  readonly pageSize?: number;
  /** Rows of a batch: sequences that run at once. Default 256. */
  readonly maxRunning?: number;
  /**
   * Rows that a batch of decodes is padded to, in rising order up to `maxRunning`: a runner can
   * capture a graph for each. Default `defaultBatchSizes(maxRunning)`.
   */
  readonly decodeBatchSizes?: readonly number[];
  /** Tokens in a step. Default 8192. */
  readonly maxBatchTokens?: number;
  /** How long a step should take while prompts are computed, in milliseconds. Default 60. */
  readonly targetStepMs?: number;
  /** Prompts that may be computed in part at the same time. Default 2; of these one may be long. */
  readonly maxPartialPrefills?: number;
  /** Requests that may wait. Default 1024. */
  readonly maxQueuedRequests?: number;
  /** Tokens of prompts that may wait. Default: no limit. */
  readonly maxQueuedTokens?: number;
  /**
   * Share of the output that requests may generate for which pages are kept free when others are
   * admitted, 0 to 1. It shrinks to a seventh while nothing is preempted. Default 0.7.
   */
  readonly outputReserve?: number;
  /** A request that waits this long counts as one priority level higher. Default 10 000 ms. */
  readonly agingMs?: number;
  /** A waiting request preempts a running one that is worse by so many levels. Default 10. */
  readonly preemptionGap?: number;
  /** Prepare a step while the one before runs. Default true. */
  readonly overlap?: boolean;
  /** Share prefixes among requests. Default true; the choices of one request share in any case. */
  readonly prefixCache?: boolean;
  /** Cut prompts at the same places in every batch, and tell the runner. Default false. */
  readonly deterministic?: boolean;
  /** Length of a chunk in deterministic mode, in tokens: a multiple of the page size. Default 512. */
  readonly deterministicChunk?: number;
  /** Names the model and the version of its weights in the keys of the prefix cache. Default ''. */
  readonly model?: string;
  /** So many failed steps, one after the other, stop the engine. Default 3. */
  readonly maxFailures?: number;
  /** Milliseconds that never go back. Default `performance.now`. */
  readonly clock?: () => number;
  /**
   * Keep the K/V of sequences on the host, and a hot buffer of each on the device. `totalPages` are then
   * those of the device; the host has `hostToDeviceRatio` times as many. The runner needs `transfers`.
   * Default: off.
   */
  readonly hisparse?: HiSparseOptions | undefined;
}

export interface ResolvedOptions extends Required<Omit<EngineOptions, 'hisparse'>> {
  readonly hisparse: HiSparseOptions | undefined;
}

/** Pages of the block tables, the reserved page 0 included: of the host with HiSparse, else of the device. */
export function numKvPages({ hisparse, totalPages }: ResolvedOptions): number {
  return hisparse === undefined ? totalPages : Math.floor(totalPages * hisparse.hostToDeviceRatio);
}

/** @throws EngineOptionError for values that could not work. */
export function resolveOptions(options: EngineOptions): ResolvedOptions {
  const pageSize = options.pageSize ?? 64;
  const resolved: ResolvedOptions = {
    totalPages: options.totalPages,
    maxModelLength: options.maxModelLength,
    pageSize,
    maxRunning: options.maxRunning ?? 256,
    decodeBatchSizes: options.decodeBatchSizes ?? defaultBatchSizes(options.maxRunning ?? 256),
    maxBatchTokens: options.maxBatchTokens ?? 8192,
    targetStepMs: options.targetStepMs ?? 60,
    maxPartialPrefills: options.maxPartialPrefills ?? 2,
    maxQueuedRequests: options.maxQueuedRequests ?? 1024,
    maxQueuedTokens: options.maxQueuedTokens ?? Number.POSITIVE_INFINITY,
    outputReserve: options.outputReserve ?? 0.7,
    agingMs: options.agingMs ?? 10_000,
    preemptionGap: options.preemptionGap ?? 10,
    overlap: options.overlap ?? true,
    prefixCache: options.prefixCache ?? true,
    deterministic: options.deterministic ?? false,
    deterministicChunk: options.deterministicChunk ?? Math.ceil(512 / pageSize) * pageSize,
    model: options.model ?? '',
    maxFailures: options.maxFailures ?? 3,
    clock: options.clock ?? (() => performance.now()),
    hisparse: options.hisparse,
  };
  check(resolved);
  return resolved;
}

function check(options: ResolvedOptions): void {
  const atLeast = (name: keyof ResolvedOptions, least: number, why = '') => {
    const value = options[name];
    if (!Number.isInteger(value) || Number(value) < least)
      throw impossible(name, `an integer of at least ${least}${why}`, value);
  };
  atLeast('totalPages', 2, ' (page 0 is reserved)');
  atLeast('maxModelLength', 2);
  atLeast('pageSize', 1);
  atLeast('maxRunning', 1);
  const { decodeBatchSizes: sizes, maxRunning } = options;
  const isRising = sizes.every((size, i) => Number.isInteger(size) && size > (sizes[i - 1] ?? 0));
  if (!isRising || sizes.at(-1) !== maxRunning)
    throw impossible('decodeBatchSizes', `rising sizes up to ${maxRunning}`, sizes);
  atLeast('maxPartialPrefills', 1);
  atLeast('maxQueuedRequests', 1);
  atLeast('preemptionGap', 1);
  atLeast('maxFailures', 1);
  atLeast('deterministicChunk', options.pageSize);
  if (options.deterministicChunk % options.pageSize !== 0)
    throw impossible('deterministicChunk', 'a multiple of pageSize', options.deterministicChunk);
  const chunk = options.deterministic ? options.deterministicChunk : options.pageSize;
  atLeast('maxBatchTokens', options.maxRunning + chunk, ' (every row and one chunk)');
  const { hisparse, outputReserve } = options;
  if (hisparse !== undefined) {
    checkHiSparse(hisparse, options.pageSize);
    checkHiSparseRoom(hisparse, options);
  }
  if (!(outputReserve >= 0 && outputReserve <= 1))
    throw impossible('outputReserve', 'a number from 0 to 1', outputReserve);
  for (const name of ['targetStepMs', 'maxQueuedTokens', 'agingMs'] as const) {
    if (!(options[name] > 0)) throw impossible(name, 'a number above 0', options[name]);
  }
}

function impossible(subject: string, expected: string, actual: unknown): EngineOptionError {
  const remedy = 'Change the option of the engine.';
  return new EngineOptionError({ subject, expected, actual: String(actual), remedy });
}
