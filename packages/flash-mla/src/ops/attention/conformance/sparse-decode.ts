import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { Inputs } from '../../conformance/inputs.ts';
import type { ProblemKind } from '../../conformance/problem-kind.ts';
import { padded } from '../../conformance/suite/cost.ts';
import { select } from '../../conformance/suite/sub-problem.ts';
import type { Operation } from '../../conformance/variant.ts';
import { dequantizeKvCache } from '../../kv-cache/reference/index.ts';
import { flashMlaWithKvCache } from '../api/flash-mla-with-kv-cache.ts';
import { sparseDecode as reference } from '../reference/sparse-decode.ts';
import { boundsOf, expectedOf } from './bounds.ts';
import { decodeCall, decodeOutputs } from './decode-call.ts';
import {
  largest,
  lseOfRequest,
  scaleTimes,
  takeIndices,
  takeRequest,
  unsigned,
} from './division.ts';
import { generateSparse } from './generate/sparse.ts';
import type { SparseParams } from './params.ts';
import type { SparseDecode } from './problems.ts';

/** `flashMlaWithKvCache` with indices. */
export const sparseDecode: ProblemKind<SparseDecode, SparseParams> = {
  op: 'sparse-decode',

  cost({ b, sQ, hQ, cache, extra, dQk = 576 }) {
    const keys = padded(cache.topk) + (extra ? padded(extra.topk) : 0);
    return b * sQ * padded(hQ) * keys * 2 * (dQk + 512);
  },

  generate: generateSparse,
  reference: (problem) => expectedOf(reference(problem), problem.headDimV),
  toleranceOf: boundsOf({ absolute: 1e-3, relative: 2.01 / 128, cosine: 5e-6 }),
  prepare,

  division: {
    partsOf: ({ q }) => q.shape[0] as number,
    take(problem, index, heads) {
      const { q, places } = takeRequest(problem.q, index, heads);
      const part = {
        ...problem,
        ...takeIndices(problem, index),
        q,
        extra: problem.extra && takeIndices(problem.extra, index),
        attnSink: problem.attnSink && select(problem.attnSink, 0, heads),
      };
      return { problem: part, ...places };
    },
    pairsOf({ q, indices, extra }) {
      const topk = (indices.shape[2] as number) + (extra?.indices.shape[2] ?? 0);
      return (q.shape[1] as number) * topk;
    },
    headsKv: () => 1,
    headDimV: ({ headDimV }) => headDimV,
    lsePlace: lseOfRequest,
    largestValue({ layout, kCache, extra }, valueSize) {
      // Packed values are below 448 times their scales, and those of the suite below 2^-8.
      if (layout !== 'bf16') return 448 * 2 ** -8 * valueSize;
      return Math.max(largest(kCache), extra ? largest(extra.kCache) : 0);
    },
    scaled: scaleTimes,
    unsigned(problem) {
      const { layout, extra } = problem;
      const cache = (tensor: HostTensor) =>
        unsigned(
          layout === 'bf16' ? tensor : dequantizeKvCache(tensor as HostTensor<'u8'>, layout),
        );
      return {
        ...problem,
        layout: 'bf16',
        q: unsigned(problem.q),
        kCache: cache(problem.kCache),
        extra: extra && { ...extra, kCache: cache(extra.kCache) },
      };
    },
  },
};

function prepare(inputs: Inputs, problem: SparseDecode): Operation {
  const { layout, headDimV, softmaxScale, extra } = problem;
  const { deterministic } = inputs.variant;
  const b = problem.q.shape[0] as number;
  const outputs = decodeOutputs(inputs, problem.q, headDimV);
  const q = inputs.put('q', problem.q) as Tensor<'bf16'>;
  const kCache = inputs.putCache('kCache', layout, problem.kCache) as Tensor<'u8'>;
  const indices = inputs.put('indices', problem.indices);
  const topkLength = problem.topkLength && inputs.putLengths('topkLength', problem.topkLength);
  const extraKCache =
    extra && (inputs.putCache('extraKCache', layout, extra.kCache) as Tensor<'u8'>);
  const extraIndicesInKvCache = extra && inputs.put('extraIndicesInKvCache', extra.indices);
  const extraTopkLength =
    extra?.topkLength && inputs.putLengths('extra.topkLength', extra.topkLength);
  const attnSink = problem.attnSink && inputs.putVector('attnSink', problem.attnSink);
  const anyLengths = inputs.uploads.put({ dtype: 'i32', shape: [b], data: new Int32Array(b) });
  const sparse = {
    isFp8: layout !== 'bf16',
    topk: problem.indices.shape[2] as number,
    extraTopk: extra ? (extra.indices.shape[2] as number) : 0,
    topkLength,
    extraTopkLength,
  };
  const shape = { q: problem.q, hKv: 1, headDimV };
  const run = decodeCall(inputs, anyLengths, shape, sparse, (scheduling) =>
    inputs.keep(
      flashMlaWithKvCache({
        ...scheduling,
        ...outputs,
        q,
        kCache,
        indices,
        topkLength,
        extraKCache,
        extraIndicesInKvCache,
        extraTopkLength,
        attnSink,
        headDimV,
        softmaxScale,
        deterministic,
      }),
    ),
  );
  return inputs.operation(run);
}
