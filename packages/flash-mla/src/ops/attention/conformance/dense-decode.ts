import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { Inputs } from '../../conformance/inputs.ts';
import type { ProblemKind } from '../../conformance/problem-kind.ts';
import { padded } from '../../conformance/suite/cost.ts';
import { select } from '../../conformance/suite/sub-problem.ts';
import type { Operation } from '../../conformance/variant.ts';
import { flashMlaWithKvCache } from '../api/flash-mla-with-kv-cache.ts';
import { cachedTokens, denseDecode as reference } from '../reference/dense-decode.ts';
import { boundsOf, expectedOf } from './bounds.ts';
import { decodeCall, decodeOutputs } from './decode-call.ts';
import { largest, lseOfRequest, scaleTimes, takeRequest, unsigned } from './division.ts';
import { generateDense } from './generate/dense.ts';
import type { DenseParams } from './params.ts';
import type { DenseDecode } from './problems.ts';

/** `flashMlaWithKvCache` without indices. */
export const denseDecode: ProblemKind<DenseDecode, DenseParams> = {
  op: 'dense-decode',

  cost({ b, sQ, sK, hQ, hKv, dQk = 576, dV = 512 }) {
    return b * hKv * padded((sQ * hQ) / hKv) * padded(sK) * 2 * (dQk + dV);
  },

  generate: generateDense,
  reference: (problem) => expectedOf(reference(problem), problem.headDimV),
  toleranceOf: boundsOf({ absolute: 8e-4, relative: 2.01 / 128, cosine: 5e-6 }),
  prepare,

  division: {
    partsOf: ({ q }) => q.shape[0] as number,
    take(problem, index, heads) {
      const { q, places } = takeRequest(problem.q, index, heads);
      const blockTable = select(problem.blockTable, 0, [index]);
      const cacheSeqlens = select(problem.cacheSeqlens, 0, [index]);
      return { problem: { ...problem, q, blockTable, cacheSeqlens }, ...places };
    },
    pairsOf({ q, cacheSeqlens, kCache, blockTable }, index) {
      return (q.shape[1] as number) * cachedTokens(cacheSeqlens, index, kCache, blockTable);
    },
    headsKv: ({ kCache }) => kCache.shape[2] as number,
    headDimV: ({ headDimV }) => headDimV,
    lsePlace: lseOfRequest,
    largestValue: ({ kCache, descaleK = 1 }) => largest(kCache) * Math.abs(descaleK),
    scaled: scaleTimes,
    unsigned(problem) {
      const { descaleQ = 1, descaleK = 1 } = problem;
      const descales = { descaleQ: Math.abs(descaleQ), descaleK: Math.abs(descaleK) };
      return { ...problem, ...descales, q: unsigned(problem.q), kCache: unsigned(problem.kCache) };
    },
  },
};

function prepare(inputs: Inputs, problem: DenseDecode): Operation {
  const { headDimV, softmaxScale, causal } = problem;
  const { deterministic } = inputs.variant;
  const outputs = decodeOutputs(inputs, problem.q, headDimV);
  const q = inputs.put('q', problem.q);
  const kCache = inputs.put('kCache', problem.kCache);
  const blockTable = inputs.put('blockTable', problem.blockTable);
  const cacheSeqlens = inputs.putLengths('cacheSeqlens', problem.cacheSeqlens);
  const descale = (name: string, value: number | undefined) =>
    value === undefined
      ? undefined
      : inputs.putVector(name, { dtype: 'f32', shape: [1], data: Float32Array.of(value) });
  const descaleQ = descale('descaleQ', problem.descaleQ);
  const descaleK = descale('descaleK', problem.descaleK);
  const shape = { q: problem.q, hKv: problem.kCache.shape[2] as number, headDimV };
  const isFp8 = q.dtype === 'e4m3';
  const run = decodeCall(inputs, cacheSeqlens, shape, { isFp8 }, (scheduling) =>
    inputs.keep(
      flashMlaWithKvCache({
        ...scheduling,
        ...outputs,
        q: q as Tensor<'bf16'>,
        kCache: kCache as Tensor<'bf16'>,
        blockTable,
        cacheSeqlens,
        headDimV,
        softmaxScale,
        causal,
        deterministic,
        descaleQ: descaleQ as never,
        descaleK: descaleK as never,
      }),
    ),
  );
  return inputs.operation(run);
}
