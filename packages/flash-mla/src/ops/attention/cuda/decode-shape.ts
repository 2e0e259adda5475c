/** What a decode kernel is asked before a call, as it sees problems. */

import type { DecodeShape } from '../schedule-contract.ts';
import { blockTokens } from './pieces.ts';
import { denseDecodeShape, sparseDecodeShape } from './problem-of.ts';
import type { DenseDecodeShape, SparseDecodeShape } from './problems.ts';

const aligned = { strides: [0, 0, 0], alignment: 16 } as const;

/** The call that will come, or one over contiguous tensors with pages of 64 tokens. */
export function denseShapeOf({ problem, dense }: DecodeShape): DenseDecodeShape {
  if (dense !== undefined) return denseDecodeShape(dense);
  return {
    dtype: problem.isFp8 ? 'e4m3' : 'bf16',
    batch: problem.batch,
    seqLenQ: problem.seqLenQ,
    numHeadsQ: problem.numHeadsQ,
    numHeadsKv: problem.numHeadsKv,
    headDimQk: problem.headDimQk,
    headDimV: problem.headDimV,
    causal: false,
    softmaxScale: 1,
    numBlocks: 1,
    pageSize: blockTokens,
    maxBlocks: 1,
    blockTableStride: 0,
    hasDescaleQ: false,
    hasDescaleK: false,
    q: aligned,
    kCache: aligned,
  };
}

/** The same for sparse decoding, whose row format then follows from the columns of q. */
export function sparseShapeOf({ problem, sparse }: DecodeShape): SparseDecodeShape {
  if (sparse !== undefined) return sparseDecodeShape(sparse);
  const packed = problem.headDimQk === 512 ? 'model1' : 'v32';
  const cache = (topk: number) => ({
    numBlocks: 1,
    pageSize: blockTokens,
    topk,
    hasTopkLength: false,
    kCache: aligned,
    indices: aligned,
  });
  const { topk = 0, extraTopk = 0 } = problem;
  return {
    layout: problem.isFp8 ? packed : 'bf16',
    batch: problem.batch,
    seqLenQ: problem.seqLenQ,
    numHeadsQ: problem.numHeadsQ,
    headDimQk: problem.headDimQk,
    headDimV: problem.headDimV,
    softmaxScale: 1,
    hasAttnSink: false,
    q: aligned,
    main: cache(topk),
    extra: extraTopk > 0 ? cache(extraTopk) : undefined,
  };
}
