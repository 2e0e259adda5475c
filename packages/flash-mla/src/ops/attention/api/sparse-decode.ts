import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkAbsent,
  checkExtent,
  checkFlag,
  checkInnerStride,
  checkInteger,
  checkNotEmpty,
  checkOperand,
  checkOptionalVector,
  checkScale,
} from '../../../runtime/operation/arguments.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { checkSparseCache, kvRowLayout } from '../../kv-cache/index.ts';
import type { SparseDecodeInputs } from '../contract.ts';
import { sparseDecode } from '../operations.ts';
import type { UncheckedDecodeOptions } from './decode-options.ts';
import { checkFp8Flag, type DecodeCall } from './dense-decode.ts';
import { checkSparseHeadDims } from './head-dims.ts';

const denseOnly = 'Sparse decoding finds its tokens through indices alone.';

/** Checks the arguments of a sparse call whose q is a tensor of rank 4. Enqueues nothing. */
export function prepareSparseDecode(options: UncheckedDecodeOptions): DecodeCall {
  const { q, kCache, indices, attnSink, extraKCache, topkLength, extraTopkLength } = options;
  const extraIndices = options.extraIndicesInKvCache;
  const { device } = q;
  checkOperand('q', q, 4, 'bf16', device);
  checkInnerStride('q', q);
  const { 0: b, 1: sQ, 2: hQ, 3: headDimQk } = q.shape as [number, number, number, number];
  const headDimV = checkInteger('headDimV', options.headDimV, 1, headDimQk);
  checkSparseHeadDims('q.shape[3]', headDimQk, 'headDimV', headDimV);

  const layout = checkCache('kCache', kCache, undefined, headDimQk, device);
  const topk = checkIndices('indices', indices, b, sQ, device);
  checkOptionalVector('topkLength', topkLength, 'i32', device, b, 'b');

  let extraTopk: number | null = null;
  let extraPageBlockSize: number | null = null;
  if (extraKCache !== undefined && extraKCache !== null) {
    checkCache('extraKCache', extraKCache, layout, headDimQk, device);
    extraTopk = checkIndices('extraIndicesInKvCache', extraIndices, b, sQ, device);
    extraPageBlockSize = extraKCache.shape[1] as number;
    checkOptionalVector('extraTopkLength', extraTopkLength, 'i32', device, b, 'b');
  } else {
    const why = 'It belongs to extraKCache, which is absent.';
    checkAbsent('extraIndicesInKvCache', extraIndices, why);
    checkAbsent('extraTopkLength', extraTopkLength, why);
  }

  const isFp8 = layout !== 'bf16';
  const softmaxScale = checkScale('softmaxScale', options.softmaxScale, headDimQk);
  const deterministic = checkFlag('deterministic', options.deterministic, false);
  checkFp8Flag(options.isFp8KvCache, isFp8, kCache.dtype);
  checkOptionalVector('attnSink', attnSink, 'f32', device, hQ, 'hQ');
  if (checkFlag('causal', options.causal, false)) {
    throw new InvalidArgumentError('causal', 'false', 'true', denseOnly);
  }
  checkAbsent('blockTable', options.blockTable, denseOnly);
  checkAbsent('cacheSeqlens', options.cacheSeqlens, denseOnly);
  checkAbsent('descaleQ', options.descaleQ, 'Packed rows carry their own scales.');
  checkAbsent('descaleK', options.descaleK, 'Packed rows carry their own scales.');

  const inputs: SparseDecodeInputs = {
    q,
    layout,
    main: { kCache, indices: indices as Tensor, topkLength: topkLength ?? undefined },
    extra: extraKCache
      ? {
          kCache: extraKCache,
          indices: extraIndices as Tensor,
          topkLength: extraTopkLength ?? undefined,
        }
      : undefined,
    headDimV,
    softmaxScale,
    attnSink: attnSink ?? undefined,
  };
  return {
    headDimV,
    config: {
      b,
      sQ,
      hQ,
      pageBlockSize: kCache.shape[1] as number,
      hK: 1,
      causal: false,
      isFp8KvCache: isFp8,
      topk,
      extraPageBlockSize,
      extraTopk,
      headDimQk,
      headDimV,
      deterministic,
    },
    scheduling: {
      device,
      problem: {
        kind: 'sparse',
        batch: b,
        seqLenQ: sQ,
        numHeadsQ: hQ,
        numHeadsKv: 1,
        headDimQk,
        headDimV,
        topk,
        extraTopk: extraTopk ?? 0,
        isFp8,
        deterministic,
      },
      sparse: inputs,
      topkLength: topkLength ?? undefined,
      extraTopkLength: extraTopkLength ?? undefined,
    },
    enqueue: (schedule, out, lse) =>
      // Written out, because it runs on every call: a spread takes ten times as long.
      device.backend.run(sparseDecode, {
        q,
        layout,
        main: inputs.main,
        extra: inputs.extra,
        headDimV,
        softmaxScale,
        attnSink: inputs.attnSink,
        schedule,
        out,
        lse,
      }),
  };
}

function checkCache(
  name: string,
  kCache: unknown,
  expected: ReturnType<typeof kvRowLayout> | undefined,
  headDimQk: number,
  device: Tensor['device'],
): ReturnType<typeof kvRowLayout> {
  checkSameDevice(name, kCache, device);
  const layout = kvRowLayout(name, kCache);
  if (expected !== undefined && layout !== expected) {
    throw new InvalidArgumentError(name, `${expected} rows like those of kCache`, `${layout} rows`);
  }
  checkSparseCache(name, kCache, layout, headDimQk);
  return layout;
}

/** A tensor of rank 4 on the device, of one of the dtypes that `kvRowLayout` tells apart. */
function checkSameDevice(
  name: string,
  kCache: unknown,
  device: Tensor['device'],
): asserts kCache is Tensor {
  const dtype = (kCache as Tensor | null | undefined)?.dtype;
  checkOperand(name, kCache, 4, dtype ?? 'u8', device);
}

/** i32 (b, sQ, topk); returns topk. */
function checkIndices(
  name: string,
  indices: unknown,
  b: number,
  sQ: number,
  device: Tensor['device'],
): number {
  checkOperand(name, indices, 3, 'i32', device);
  checkNotEmpty(name, indices);
  checkExtent(name, indices, 0, b, 'b of q');
  checkExtent(name, indices, 1, sQ, 'sQ of q');
  checkInnerStride(name, indices);
  return indices.shape[2] as number;
}
