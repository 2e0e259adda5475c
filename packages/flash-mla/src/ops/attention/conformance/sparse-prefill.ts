import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { Inputs } from '../../conformance/inputs.ts';
import type { ProblemKind } from '../../conformance/problem-kind.ts';
import { padded } from '../../conformance/suite/cost.ts';
import { select } from '../../conformance/suite/sub-problem.ts';
import type { Operation } from '../../conformance/variant.ts';
import { flashMlaSparseFwd } from '../api/flash-mla-sparse-fwd.ts';
import { sparsePrefill as reference } from '../reference/sparse-prefill.ts';
import { boundsOf, expectedOf } from './bounds.ts';
import { largest, unsigned } from './division.ts';
import { generatePrefill } from './generate/prefill.ts';
import type { PrefillParams } from './params.ts';
import type { SparsePrefill } from './problems.ts';

/** `flashMlaSparseFwd`. */
export const sparsePrefill: ProblemKind<SparsePrefill, PrefillParams> = {
  op: 'sparse-prefill',

  cost({ sQ, topk, hQ, hKv = 1, dQk }) {
    return sQ * hKv * padded(hQ / hKv) * padded(topk) * 2 * (dQk + 512);
  },

  generate: generatePrefill,
  reference(problem) {
    const answer = reference(problem);
    return { ...expectedOf(answer, problem.dV), max_logits: { values: answer.maxLogits } };
  },
  toleranceOf: boundsOf(
    { absolute: 8e-4, relative: 3.01 / 128, cosine: 7e-6 },
    { absolute: 1e-6, relative: 2.01 / 65536 },
  ),
  prepare,

  // A part is one query.
  division: {
    partsOf: ({ q }) => q.shape[0] as number,
    take(problem, index, heads) {
      const hQ = problem.q.shape[1] as number;
      const places = Int32Array.from(heads, (h) => index * hQ + h);
      const part = {
        ...problem,
        q: select(select(problem.q, 0, [index]), 1, heads),
        indices: select(problem.indices, 0, [index]),
        topkLength: problem.topkLength && select(problem.topkLength, 0, [index]),
        attnSink: problem.attnSink && select(problem.attnSink, 0, heads),
      };
      return { problem: part, outRows: places, lsePlaces: places };
    },
    pairsOf: ({ indices }) => indices.shape[2] as number,
    headsKv: ({ kv }) => kv.shape[1] as number,
    headDimV: ({ dV }) => dV,
    lsePlace: (_, row) => row,
    largestValue: ({ kv }) => largest(kv),
    scaled: (problem, factor) => ({ ...problem, smScale: problem.smScale * factor }),
    unsigned: (problem) => ({ ...problem, q: unsigned(problem.q), kv: unsigned(problem.kv) }),
  },
};

function prepare(inputs: Inputs, problem: SparsePrefill): Operation {
  const { smScale, dV } = problem;
  const [sQ, hQ] = problem.q.shape as [number, number, number];
  const options = {
    q: inputs.put('q', problem.q) as Tensor<'bf16'>,
    kv: inputs.put('kv', problem.kv) as Tensor<'bf16'>,
    indices: inputs.put('indices', problem.indices),
    topkLength: problem.topkLength && inputs.putLengths('topkLength', problem.topkLength),
    attnSink: problem.attnSink && inputs.putVector('attnSink', problem.attnSink),
    smScale,
    dV,
    out: inputs.output('out', [sQ, hQ, dV], 'bf16'),
    lse: inputs.output('lse', [sQ, hQ], 'f32'),
    maxLogits: inputs.output('max_logits', [sQ, hQ], 'f32'),
  };
  return inputs.operation(() => {
    const { out, lse, maxLogits } = flashMlaSparseFwd(options);
    inputs.keep({ out, lse, max_logits: maxLogits });
  });
}
