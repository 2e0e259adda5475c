import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkAbsent,
  checkExtent,
  checkFlag,
  checkHeads,
  checkInnerStride,
  checkInteger,
  checkNotEmpty,
  checkOperand,
  checkScale,
  checkVector,
} from '../../../runtime/operation/arguments.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { DenseDecodeInputs } from '../contract.ts';
import { denseDecode } from '../operations.ts';
import type { Schedule } from '../schedule-contract.ts';
import type { UncheckedDecodeOptions } from './decode-options.ts';
import { checkDenseHeadDims } from './head-dims.ts';
import type { SchedMetaConfig } from './sched-meta.ts';
import type { ScheduleRequest } from './tile-scheduler-metadata.ts';

/** A decode call whose arguments are right: what remains is outputs, a schedule and the backend. */
export interface DecodeCall {
  readonly headDimV: number;
  readonly config: SchedMetaConfig;
  readonly scheduling: ScheduleRequest;
  enqueue(schedule: Schedule, out: Tensor, lse: Tensor): void;
}

const sparseOnly = 'It belongs to sparse decoding, which needs indices.';

/** Checks the arguments of a dense call whose q is a tensor of rank 4. Enqueues nothing. */
export function prepareDenseDecode(options: UncheckedDecodeOptions): DecodeCall {
  const { q, kCache, blockTable, cacheSeqlens, descaleQ, descaleK } = options;
  const { device, dtype } = q;
  if (dtype !== 'bf16' && dtype !== 'f16' && dtype !== 'e4m3') {
    throw new InvalidArgumentError('q', 'dtype bf16, f16 or e4m3', dtype);
  }
  checkInnerStride('q', q);
  const { 0: b, 1: sQ, 2: hQ, 3: headDimQk } = q.shape as [number, number, number, number];

  checkOperand('kCache', kCache, 4, dtype, device);
  checkNotEmpty('kCache', kCache, 1);
  checkInnerStride('kCache', kCache);
  checkExtent('kCache', kCache, 3, headDimQk, 'dQk of q');
  const { 1: page, 2: hK } = kCache.shape as [number, number, number, number];
  checkHeads(hQ, hK, 'kCache.shape[2]');
  const headDimV = checkInteger('headDimV', options.headDimV, 1, headDimQk);
  checkDenseHeadDims(headDimQk, headDimV);

  checkOperand('blockTable', blockTable, 2, 'i32', device);
  checkExtent('blockTable', blockTable, 0, b, 'b of q');
  checkInnerStride('blockTable', blockTable);
  checkVector('cacheSeqlens', cacheSeqlens, 'i32', device, b, 'b');

  const isFp8 = dtype === 'e4m3';
  const causal = checkFlag('causal', options.causal, false);
  const softmaxScale = checkScale('softmaxScale', options.softmaxScale, headDimQk);
  const deterministic = checkFlag('deterministic', options.deterministic, false);
  checkFp8Flag(options.isFp8KvCache, isFp8, dtype);
  checkDescale('descaleQ', descaleQ, isFp8, device);
  checkDescale('descaleK', descaleK, isFp8, device);
  checkAbsent('attnSink', options.attnSink, sparseOnly);
  checkAbsent('extraKCache', options.extraKCache, sparseOnly);
  checkAbsent('extraIndicesInKvCache', options.extraIndicesInKvCache, sparseOnly);
  checkAbsent('topkLength', options.topkLength, sparseOnly);
  checkAbsent('extraTopkLength', options.extraTopkLength, sparseOnly);

  const inputs: DenseDecodeInputs = {
    q,
    kCache,
    blockTable,
    seqlens: cacheSeqlens,
    headDimV,
    softmaxScale,
    causal,
    descaleQ: descaleQ ?? undefined,
    descaleK: descaleK ?? undefined,
  };
  return {
    headDimV,
    config: {
      b,
      sQ,
      hQ,
      pageBlockSize: page,
      hK,
      causal,
      isFp8KvCache: isFp8,
      topk: null,
      extraPageBlockSize: null,
      extraTopk: null,
      headDimQk,
      headDimV,
      deterministic,
    },
    scheduling: {
      device,
      problem: {
        kind: 'dense',
        batch: b,
        seqLenQ: sQ,
        numHeadsQ: hQ,
        numHeadsKv: hK,
        headDimQk,
        headDimV,
        isFp8,
        maxSeqLenK: (blockTable.shape[1] as number) * page,
        deterministic,
      },
      dense: inputs,
      seqlens: cacheSeqlens,
    },
    enqueue: (schedule, out, lse) =>
      // Written out, because it runs on every call: a spread takes ten times as long.
      device.backend.run(denseDecode, {
        q,
        kCache,
        blockTable,
        seqlens: cacheSeqlens,
        headDimV,
        softmaxScale,
        causal,
        descaleQ: inputs.descaleQ,
        descaleK: inputs.descaleK,
        schedule,
        out,
        lse,
      }),
  };
}

/** `isFp8KvCache` may be left out; where given it must agree with the cache. */
export function checkFp8Flag(flag: unknown, isFp8: boolean, dtype: string): void {
  if (checkFlag('isFp8KvCache', flag, isFp8) === isFp8) return;
  throw new InvalidArgumentError('isFp8KvCache', `${isFp8} for a cache of ${dtype}`, `${flag}`);
}

function checkDescale(name: string, descale: unknown, isFp8: boolean, device: Tensor['device']) {
  if (descale === undefined || descale === null) return;
  if (!isFp8) checkAbsent(name, descale, 'Only e4m3 queries and caches are descaled.');
  checkVector(name, descale, 'f32', device, 1, '1');
}
