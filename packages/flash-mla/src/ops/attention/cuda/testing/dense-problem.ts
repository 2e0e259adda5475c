import type { DenseDecodeProblem } from '../problems.ts';

/** A problem of dense decoding in the shape that tests plan for: DeepSeek's head dimensions, 8 requests. */
export function denseProblem(changes: Partial<DenseDecodeProblem> = {}): DenseDecodeProblem {
  const { numHeadsQ = 128 } = changes;
  return {
    dtype: 'bf16',
    outDtype: 'bf16',
    batch: 8,
    seqLenQ: 1,
    numHeadsQ,
    numHeadsKv: 1,
    headDimQk: 576,
    headDimV: 512,
    causal: true,
    softmaxScale: 1,
    numBlocks: 99,
    pageSize: 64,
    maxBlocks: 20,
    blockTableStride: 20,
    hasDescaleQ: false,
    hasDescaleK: false,
    q: { strides: [numHeadsQ * 576, 0, 576], alignment: 16 },
    kCache: { strides: [36864, 576, 0], alignment: 16 },
    plan: { numParts: 66, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 },
    scheduledSeqLenK: 20 * 64,
    ...changes,
  };
}
