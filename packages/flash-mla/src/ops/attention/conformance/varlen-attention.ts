import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { Inputs } from '../../conformance/inputs.ts';
import type { ProblemKind } from '../../conformance/problem-kind.ts';
import { select } from '../../conformance/suite/sub-problem.ts';
import type { Operation } from '../../conformance/variant.ts';
import { flashAttnVarlenFunc } from '../api/flash-attn-varlen-func.ts';
import { packedSpan, varlenAttention as reference } from '../reference/dense-attention.ts';
import { boundsOf, expectedOf } from './bounds.ts';
import { denseAttentionCost } from './cache-attention.ts';
import { outDType } from './decode-call.ts';
import { largest, scaleTimes, unsigned } from './division.ts';
import { generateVarlen } from './generate/dense-attention.ts';
import type { VarlenParams } from './params.ts';
import type { VarlenAttention } from './problems.ts';
import { fillUnowned } from './unowned-rows.ts';

/** `flashAttnVarlenFunc`. */
export const varlenAttention: ProblemKind<VarlenAttention, VarlenParams> = {
  op: 'varlen-attention',
  cost: denseAttentionCost,
  generate: generateVarlen,
  reference: (problem) => expectedOf(reference(problem), problem.v.shape[2] as number),
  // FlashMLA's dense prefill has one test for two architectures; these kernels can do as decoding does.
  toleranceOf: boundsOf({ absolute: 8e-4, relative: 2.01 / 128, cosine: 5e-6 }),
  prepare,
  fillUnowned,

  division: {
    partsOf: ({ cuSeqlensQo }) => cuSeqlensQo.data.length - 1,
    take(problem, index, heads) {
      const [totalQ, hQ] = problem.q.shape as [number, number];
      const queries = range(problem.cuSeqlensQo, index, totalQ);
      const keys = range(problem.cuSeqlensKv, index, problem.k.shape[0] as number);
      return {
        problem: {
          ...problem,
          q: select(select(problem.q, 0, queries), 1, heads),
          k: select(problem.k, 0, keys),
          v: select(problem.v, 0, keys),
          cuSeqlensQo: offsets(queries.length),
          cuSeqlensKv: offsets(keys.length),
        },
        outRows: Int32Array.from(queries.flatMap((row) => heads.map((h) => row * hQ + h))),
        lsePlaces: Int32Array.from(heads.flatMap((h) => queries.map((row) => h * totalQ + row))),
      };
    },
    pairsOf({ q, k, cuSeqlensQo, cuSeqlensKv }, index) {
      const queries = range(cuSeqlensQo, index, q.shape[0] ?? 0).length;
      return queries * range(cuSeqlensKv, index, k.shape[0] ?? 0).length;
    },
    headsKv: ({ k }) => k.shape[1] as number,
    headDimV: ({ v }) => v.shape[2] as number,
    lsePlace({ q }, row) {
      const [totalQ, hQ] = q.shape as [number, number];
      return (row % hQ) * totalQ + Math.floor(row / hQ);
    },
    largestValue: ({ v }) => largest(v),
    scaled: scaleTimes,
    unsigned: (problem) => ({ ...problem, q: unsigned(problem.q), k: unsigned(problem.k) }),
  },
};

function prepare(inputs: Inputs, problem: VarlenAttention): Operation {
  const { softmaxScale, causal } = problem;
  const [totalQ, hQ] = problem.q.shape as [number, number, number];
  const dV = problem.v.shape[2] as number;
  const { queries, keys } = inputs.variant.longest ?? {
    queries: Math.min(totalQ, longest(problem.cuSeqlensQo)),
    keys: Math.min(problem.k.shape[0] as number, longest(problem.cuSeqlensKv)),
  };
  const options = {
    q: inputs.put('q', problem.q) as Tensor<'bf16'>,
    k: inputs.put('k', problem.k) as Tensor<'bf16'>,
    v: inputs.put('v', problem.v) as Tensor<'bf16'>,
    cuSeqlensQo: inputs.putLengths('cuSeqlensQo', problem.cuSeqlensQo),
    cuSeqlensKv: inputs.putLengths('cuSeqlensKv', problem.cuSeqlensKv),
    maxSeqlenQo: queries,
    maxSeqlenKv: keys,
    softmaxScale,
    causal,
    out: inputs.output('out', [totalQ, hQ, dV], outDType(problem.q)) as Tensor<'bf16'> | undefined,
    lse: inputs.output('lse', [hQ, totalQ], 'f32'),
  };
  return inputs.operation(() => inputs.keep(flashAttnVarlenFunc(options)));
}

function longest({ data }: HostTensor<'i32'>): number {
  return data.reduce((most, end, i) => Math.max(most, end - (data[i - 1] ?? end)), 0);
}

/** Rows of one request. */
function range(ends: HostTensor<'i32'>, request: number, total: number): number[] {
  const [begin, end] = packedSpan(ends, request, total);
  return Array.from({ length: end - begin }, (_, i) => begin + i);
}

function offsets(length: number): HostTensor<'i32'> {
  return { dtype: 'i32', shape: [2], data: Int32Array.of(0, length) };
}
