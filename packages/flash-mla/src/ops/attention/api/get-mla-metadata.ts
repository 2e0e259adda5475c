import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkFlag,
  checkInnerStride,
  checkInteger,
  checkOperand,
  checkOptionalVector,
  checkTensor,
  type Optional,
  optionNames,
  readOptions,
} from '../../../runtime/operation/arguments.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { ScheduleProblem } from '../schedule-contract.ts';
import { FlashMlaSchedMeta } from './sched-meta.ts';
import { TileSchedulerMetadata } from './tile-scheduler-metadata.ts';

/** What FlashMLA's positional arguments do not tell about a problem. */
export interface MlaMetadataOptions {
  /** Columns of q. Default 576. */
  readonly headDimQk?: number;
  /** Columns of V. Default 512. */
  readonly headDimV?: number;
  /** Sparse: width of `extraIndicesInKvCache`. Default 0, no extra cache. */
  readonly extraTopk?: number;
  /** Sparse: i32 (b), as in `flashMlaWithKvCache`. Default: all of `topk`, all of `extraTopk`. */
  readonly topkLength?: Optional<Tensor<'i32'>>;
  readonly extraTopkLength?: Optional<Tensor<'i32'>>;
  /** Split each request the same way in any batch. Default false. */
  readonly deterministic?: boolean;
}

const known = optionNames<keyof MlaMetadataOptions>(
  'headDimQk',
  'headDimV',
  'extraTopk',
  'topkLength',
  'extraTopkLength',
  'deterministic',
);

/**
 * A metadata object that the first `flashMlaWithKvCache` fills, and `null` for `numSplits`.
 * Source: FlashMLA's `get_mla_metadata`.
 */
export function getMlaMetadata(): [schedMeta: FlashMlaSchedMeta, numSplits: null];
/**
 * Computes the tile-scheduler metadata now, on the device, for lengths that are known before the call:
 * the earlier form of FlashMLA's function.
 *
 * @param cacheSeqlens i32 (b). Sparse: only its length counts.
 * @param numQTokensPerHeadK sQ · hQ / hK.
 * @param numHeadsK hK.
 * @param numHeadsQ hQ. Default: as if sQ were 1.
 * @param isFp8KvCache whether the cache is e4m3 (dense) or packed FP8 rows (sparse).
 * @param topk width of `indices`; absent: dense.
 * @returns `tileSchedulerMetadata` i32 (parts, 8) and `numSplits` i32 (b + 1). Disposing of the first
 *   frees both.
 * @throws {InvalidArgumentError} naming the argument, {@link OutOfMemoryError}.
 */
export function getMlaMetadata(
  cacheSeqlens: Tensor<'i32'>,
  numQTokensPerHeadK: number,
  numHeadsK: number,
  numHeadsQ?: Optional<number>,
  isFp8KvCache?: Optional<boolean>,
  topk?: Optional<number>,
  options?: MlaMetadataOptions,
): [tileSchedulerMetadata: TileSchedulerMetadata, numSplits: Tensor<'i32'>];
export function getMlaMetadata(
  cacheSeqlens?: Tensor<'i32'>,
  numQTokensPerHeadK?: number,
  numHeadsK?: number,
  numHeadsQ?: Optional<number>,
  isFp8KvCache?: Optional<boolean>,
  topk?: Optional<number>,
  options: MlaMetadataOptions = {},
): [FlashMlaSchedMeta, null] | [TileSchedulerMetadata, Tensor<'i32'>] {
  // biome-ignore lint/complexity/noArguments: tells no arguments from a forgotten `undefined`.
  if (arguments.length === 0) return [new FlashMlaSchedMeta(), null];

  checkTensor('cacheSeqlens', cacheSeqlens, 1);
  const { device } = cacheSeqlens;
  checkOperand('cacheSeqlens', cacheSeqlens, 1, 'i32', device);
  checkInnerStride('cacheSeqlens', cacheSeqlens);
  const given = readOptions(options, known);
  const batch = checkInteger('cacheSeqlens.shape[0]', cacheSeqlens.shape[0], 1, maxCount);
  const tokens = checkInteger('numQTokensPerHeadK', numQTokensPerHeadK, 1, maxCount);
  const numHeadsKv = checkInteger('numHeadsK', numHeadsK, 1, maxCount);
  const rows = tokens * numHeadsKv;
  const hQ = checkInteger('numHeadsQ', numHeadsQ ?? rows, 1, maxCount);
  if (rows % hQ !== 0 || hQ % numHeadsKv !== 0) {
    throw new InvalidArgumentError(
      'numHeadsQ',
      `a multiple of numHeadsK = ${numHeadsKv} that divides their ${rows} rows of queries`,
      `${hQ}`,
    );
  }
  const isSparse = topk !== undefined && topk !== null;
  const problem: ScheduleProblem = {
    kind: isSparse ? 'sparse' : 'dense',
    batch,
    seqLenQ: rows / hQ,
    numHeadsQ: hQ,
    numHeadsKv,
    headDimQk: checkInteger('headDimQk', given.headDimQk ?? 576, 1, maxCount),
    headDimV: checkInteger('headDimV', given.headDimV ?? 512, 1, maxCount),
    ...(isSparse && {
      topk: checkInteger('topk', topk, 1, maxCount),
      extraTopk: checkInteger('extraTopk', given.extraTopk ?? 0, 0, maxCount),
    }),
    isFp8: checkFlag('isFp8KvCache', isFp8KvCache, false),
    deterministic: checkFlag('deterministic', given.deterministic, false),
  };
  const topkLength = given.topkLength ?? undefined;
  const extraTopkLength = given.extraTopkLength ?? undefined;
  checkOptionalVector('topkLength', topkLength, 'i32', device, batch, 'b');
  checkOptionalVector('extraTopkLength', extraTopkLength, 'i32', device, batch, 'b');
  if (topkLength && !isSparse) requireTopk('topkLength', 'topk');
  if (extraTopkLength && !problem.extraTopk) requireTopk('extraTopkLength', 'extraTopk');
  if (given.extraTopk && !isSparse) requireTopk('extraTopk', 'topk');

  const metadata = TileSchedulerMetadata.compute({
    device,
    problem,
    seqlens: isSparse ? undefined : cacheSeqlens,
    topkLength,
    extraTopkLength,
  });
  return [metadata, metadata.numSplits];
}

/** Counts are i32 on the device. */
const maxCount = 2 ** 31 - 1;

function requireTopk(given: string, missing: string): never {
  throw new InvalidArgumentError(given, `no ${given} without ${missing}`, 'one');
}
