import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { Inputs } from '../../conformance/inputs.ts';
import type { ProblemKind } from '../../conformance/problem-kind.ts';
import { padded } from '../../conformance/suite/cost.ts';
import { select } from '../../conformance/suite/sub-problem.ts';
import type { Operation } from '../../conformance/variant.ts';
import { flashAttnWithKvCache } from '../api/flash-attn-with-kv-cache.ts';
import { cacheAttention as reference } from '../reference/dense-attention.ts';
import { cachedTokens } from '../reference/dense-decode.ts';
import { boundsOf, expectedOf } from './bounds.ts';
import { outDType } from './decode-call.ts';
import { largest, lseOfRequest, scaleTimes, takeRequest, unsigned } from './division.ts';
import { generateCacheAttention } from './generate/dense-attention.ts';
import type { AttentionShape, CacheParams } from './params.ts';
import type { CacheAttention } from './problems.ts';

/** `flashAttnWithKvCache`. */
export const cacheAttention: ProblemKind<CacheAttention, CacheParams> = {
  op: 'cache-attention',
  cost: denseAttentionCost,
  generate: generateCacheAttention,
  reference: (problem) => expectedOf(reference(problem), problem.vCache.shape[3] as number),
  toleranceOf: boundsOf({ absolute: 8e-4, relative: 2.01 / 128, cosine: 5e-6 }),
  prepare,

  division: {
    partsOf: ({ q }) => q.shape[0] as number,
    take(problem, index, heads) {
      const { q, places } = takeRequest(problem.q, index, heads);
      const cacheSeqlens = select(problem.cacheSeqlens, 0, [index]);
      const blockTable = select(problem.blockTable ?? ownBlocks(problem), 0, [index]);
      return { problem: { ...problem, q, cacheSeqlens, blockTable }, ...places };
    },
    pairsOf(problem, index) {
      const { q, cacheSeqlens, kCache, blockTable = ownBlocks(problem) } = problem;
      return (q.shape[1] as number) * cachedTokens(cacheSeqlens, index, kCache, blockTable);
    },
    headsKv: ({ kCache }) => kCache.shape[2] as number,
    headDimV: ({ vCache }) => vCache.shape[3] as number,
    lsePlace: lseOfRequest,
    largestValue: ({ vCache }) => largest(vCache),
    scaled: scaleTimes,
    unsigned: (problem) => ({
      ...problem,
      q: unsigned(problem.q),
      kCache: unsigned(problem.kCache),
    }),
  },
};

/** Of both functions of dense attention. */
export function denseAttentionCost({ b, sQ, sK, hQ, dQk, dV }: AttentionShape): number {
  return b * hQ * padded(sQ) * padded(sK) * 2 * (dQk + dV);
}

/** The table that a missing one stands for: request i owns block i. */
function ownBlocks({ q }: CacheAttention): HostTensor<'i32'> {
  const b = q.shape[0] as number;
  return { dtype: 'i32', shape: [b, 1], data: Int32Array.from({ length: b }, (_, i) => i) };
}

function prepare(inputs: Inputs, problem: CacheAttention): Operation {
  const { softmaxScale, causal } = problem;
  const [b, sQ, hQ] = problem.q.shape as [number, number, number];
  const shape = [b, sQ, hQ, problem.vCache.shape[3] as number];
  const options = {
    q: inputs.put('q', problem.q, 'together') as Tensor<'bf16'>,
    kCache: inputs.put('kCache', problem.kCache) as Tensor<'bf16'>,
    vCache: inputs.put('vCache', problem.vCache) as Tensor<'bf16'>,
    cacheSeqlens: inputs.putLengths('cacheSeqlens', problem.cacheSeqlens),
    blockTable: problem.blockTable && inputs.put('blockTable', problem.blockTable),
    softmaxScale,
    causal,
    out: inputs.output('out', shape, outDType(problem.q)) as Tensor<'bf16'> | undefined,
  };
  // The function has no `lse` to write to, so its own is kept.
  return inputs.operation(() => inputs.keep(flashAttnWithKvCache(options)));
}
