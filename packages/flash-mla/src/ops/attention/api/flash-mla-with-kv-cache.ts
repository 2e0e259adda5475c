import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkNotEmpty,
  checkTensor,
  optionNames,
  readOptions,
  show,
} from '../../../runtime/operation/arguments.ts';
import { Outputs } from '../../../runtime/operation/outputs.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { ScheduleProblem } from '../schedule-contract.ts';
import type {
  DecodeOptionsFor,
  DecodeResult,
  OutputDType,
  QueryDType,
  UncheckedDecodeOptions,
} from './decode-options.ts';
import { type DecodeCall, prepareDenseDecode } from './dense-decode.ts';
import { checkSchedMeta, FlashMlaSchedMeta, scheduleOf, unfillSchedMeta } from './sched-meta.ts';
import { prepareSparseDecode } from './sparse-decode.ts';
import { TileSchedulerMetadata } from './tile-scheduler-metadata.ts';

const known = optionNames(
  'q',
  'kCache',
  'blockTable',
  'cacheSeqlens',
  'headDimV',
  'schedMeta',
  'numSplits',
  'softmaxScale',
  'causal',
  'descaleQ',
  'descaleK',
  'isFp8KvCache',
  'indices',
  'attnSink',
  'extraKCache',
  'extraIndicesInKvCache',
  'topkLength',
  'extraTopkLength',
  'deterministic',
  'out',
  'lse',
);

/**
 * MLA decoding with a paged KV cache: dense, or token-sparse where `indices` are given. Returns at
 * once; `out.read()` waits.
 *
 * Everything is checked before anything is enqueued, and a call that throws leaves nothing allocated.
 * What lives on the device cannot be checked here, and means something whatever it is: lengths out of
 * range count as the nearest valid one; an entry of `blockTable` that is no block of the cache names
 * nothing, and its tokens are skipped, as are indices outside the cache. Rows that then see nothing have
 * out 0 and lse +inf. A cache may have no blocks, and a block table no columns. A NaN that a row attends
 * to, in its query or in a key, makes its output and its lse NaN and touches no other row.
 *
 * Source: FlashMLA's `flash_mla_with_kvcache`.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError}.
 */
export function flashMlaWithKvCache<
  D extends QueryDType = 'bf16',
  R extends 'u8' | 'bf16' = 'u8' | 'bf16',
  I extends Tensor<'i32'> | null | undefined = undefined,
>(options: DecodeOptionsFor<D, R, I>): DecodeResult<OutputDType<D>>;
export function flashMlaWithKvCache(options: UncheckedDecodeOptions): DecodeResult {
  const given = readOptions(options, known);
  const { q, schedMeta, numSplits } = given;
  checkTensor('q', q, 4);
  checkNotEmpty('q', q);
  const { device } = q;
  const call =
    given.indices === undefined || given.indices === null
      ? prepareDenseDecode(given)
      : prepareSparseDecode(given);
  checkScheduling(schedMeta, numSplits, call);

  const isFresh = schedMeta instanceof FlashMlaSchedMeta && !schedMeta.haveInitialized;
  const outputs = new Outputs(device);
  try {
    const { 0: b, 1: sQ, 2: hQ } = q.shape as [number, number, number];
    const outDType = q.dtype === 'f16' ? 'f16' : 'bf16';
    const out = outputs.take('out', given.out, [b, sQ, hQ, call.headDimV], outDType);
    const lse = outputs.take('lse', given.lse, [b, hQ, sQ], 'f32');
    const schedule =
      schedMeta instanceof FlashMlaSchedMeta
        ? scheduleOf(schedMeta, call.config, call.scheduling)
        : schedMeta.schedule;
    call.enqueue(schedule, out, lse);
    return { out, lse };
  } catch (error) {
    outputs.release();
    if (isFresh) unfillSchedMeta(schedMeta);
    throw error;
  }
}

/** The metadata must have been made for this problem; where they were not used yet, they fit. */
function checkScheduling(schedMeta: unknown, numSplits: unknown, call: DecodeCall): void {
  if (schedMeta instanceof FlashMlaSchedMeta) {
    if (numSplits !== undefined && numSplits !== null) {
      throw new InvalidArgumentError(
        'numSplits',
        'null or nothing beside a FlashMlaSchedMeta',
        show(numSplits),
      );
    }
    checkSchedMeta(schedMeta, call.config, call.scheduling.device);
    return;
  }
  if (!(schedMeta instanceof TileSchedulerMetadata)) {
    throw new InvalidArgumentError('schedMeta', 'metadata from getMlaMetadata()', show(schedMeta));
  }
  checkTensor('schedMeta', schedMeta, 2);
  if (numSplits !== schedMeta.numSplits) {
    throw new InvalidArgumentError(
      'numSplits',
      'the second tensor that getMlaMetadata(cacheSeqlens, …) returned with schedMeta',
      show(numSplits),
    );
  }
  checkTensor('numSplits', numSplits, 1);
  if (schedMeta.device !== call.scheduling.device) {
    throw new InvalidArgumentError(
      'schedMeta',
      `metadata on device '${call.scheduling.device.id}' like q`,
      `some on another device, '${schedMeta.device.id}'`,
    );
  }
  checkProblem(schedMeta.problem, call.scheduling.problem);
}

const problemFields = [
  'kind',
  'batch',
  'numHeadsKv',
  'headDimQk',
  'headDimV',
  'topk',
  'extraTopk',
  'isFp8',
  'deterministic',
] as const satisfies readonly (keyof ScheduleProblem)[];

function checkProblem(made: ScheduleProblem, actual: ScheduleProblem): void {
  for (const field of problemFields) {
    if (made[field] === actual[field]) continue;
    throw new InvalidArgumentError(
      `schedMeta.problem.${field}`,
      `${made[field]}, for which getMlaMetadata() made it`,
      `${actual[field]}`,
    );
  }
  // What counts is the rows of queries; getMlaMetadata may not know sQ and hQ apart.
  const rows = made.seqLenQ * made.numHeadsQ;
  if (rows === actual.seqLenQ * actual.numHeadsQ) return;
  throw new InvalidArgumentError(
    'schedMeta.problem',
    `sQ · hQ = ${rows} (numQTokensPerHeadK · numHeadsK of getMlaMetadata)`,
    `${actual.seqLenQ} · ${actual.numHeadsQ}`,
  );
}
