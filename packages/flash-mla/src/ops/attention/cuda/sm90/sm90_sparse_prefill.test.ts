import { describe, expect, it } from 'vitest';
import { generateProblem } from '../../../cases.ts';
import { compare } from '../../../conformance/compare.ts';
import { referenceAnswers, toleranceOf } from '../../../conformance/kinds.ts';
import { poison } from '../../../conformance/upload.ts';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, SimContext } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import { type HostTensor, hostTensorFromBytes } from '../../../reference.ts';
import type { PrefillParams } from '../../conformance/params.ts';
import type { SparsePrefill } from '../../conformance/problems.ts';
import type { SparsePrefillProblem } from '../problems.ts';
import { consumerRegisters, producerRegisters } from './prefill/tile.ts';
import { hopperSparsePrefill } from './sm90_sparse_prefill_launch.ts';

const limits = { ...limitsFor('h200', 3), specificTarget: 'sm_90a' };

/** A problem of which only what matters to selection is told. */
function problemOf(given: Partial<SparsePrefillProblem> = {}): SparsePrefillProblem {
  return {
    seqLenQ: 4096,
    numHeadsQ: 128,
    seqLenKv: 32768,
    numHeadsKv: 1,
    headDimQk: 576,
    headDimV: 512,
    topk: 2048,
    smScale: 1,
    hasTopkLength: false,
    hasAttnSink: false,
    q: { strides: [128 * 576, 576], alignment: 16 },
    kv: { strides: [576, 0], alignment: 16 },
    indices: { strides: [2048, 0], alignment: 16 },
    ...given,
  };
}

describe('sparse prefill on warp groups', () => {
  it('takes the problems it is made for', () => {
    const takes = (changes: Partial<SparsePrefillProblem>) =>
      hopperSparsePrefill.accepts(problemOf(changes));
    expect(takes({})).toBe(true);
    expect(takes({ headDimQk: 512, numHeadsQ: 33, hasAttnSink: true })).toBe(true);
    expect(takes({ numHeadsQ: 32 })).toBe(false);
    expect(takes({ numHeadsKv: 4 })).toBe(false);
    expect(takes({ seqLenKv: 0 })).toBe(false);
    expect(takes({ topk: 0 })).toBe(false);
    expect(takes({ kv: { strides: [577, 0], alignment: 2 } })).toBe(false);
  });

  it('gives out no more registers than the three warp groups start with', () => {
    const atStart = 8 * Math.floor(65536 / 384 / 8);
    expect(producerRegisters + 2 * consumerRegisters).toBeLessThanOrEqual(3 * atStart);
  });

  itAssembles(
    ([512, 576] as const).flatMap((headDimQk) =>
      [false, true].map((hasAttnSink) => ({
        name: `dQk ${headDimQk}, sink ${hasAttnSink}`,
        launch: (target) =>
          target === 'sm_90a'
            ? hopperSparsePrefill.plan(problemOf({ headDimQk, hasAttnSink }), limits).launches.main
            : undefined,
      })),
    ),
  );
});

/** Runs a problem in the simulator, where whatever the kernel must write is NaN before. */
function run({ q, kv, indices, topkLength, attnSink, smScale, dV }: SparsePrefill) {
  const context = new SimContext(limits);
  const put = ({ dtype, shape, data }: HostTensor) => context.tensor(dtype, shape, data);
  const [sQ = 0, hQ = 0] = q.shape;
  const poisoned = (dtype: 'bf16' | 'f32', shape: readonly number[]) => {
    const count = shape.reduce((product, n) => product * n, 1);
    return context.tensor(dtype, shape, poison(dtype, count));
  };
  const results = {
    out: poisoned('bf16', [sQ, hQ, dV]),
    maxLogits: poisoned('f32', [sQ, hQ]),
    lse: poisoned('f32', [sQ, hQ]),
  };
  const args = {
    ...{ q: put(q), kv: put(kv), indices: put(indices), smScale, headDimV: dV },
    ...(topkLength && { topkLength: put(topkLength) }),
    ...(attnSink && { attnSink: put(attnSink) }),
    ...results,
  };
  expect(hopperSparsePrefill.accepts(hopperSparsePrefill.problemOf(args))).toBe(true);
  context.run(hopperSparsePrefill, args);
  const read = ({ dtype, shape }: typeof results.out, bytes: Uint8Array) =>
    hostTensorFromBytes(dtype, shape, bytes);
  return {
    out: read(results.out, context.read(results.out)),
    max_logits: read(results.maxLogits, context.read(results.maxLogits)),
    lse: read(results.lse, context.read(results.lse)),
  };
}

describe('sparse prefill on warp groups, in the simulator', () => {
  const cases: Omit<PrefillParams, 'op'>[] = [
    { sQ: 7, sKv: 200, topk: 190, hQ: 72, dQk: 576, lengths: true, sink: 'finite' },
    { sQ: 2, sKv: 300, topk: 320, hQ: 128, dQk: 576, invalid: 'rows', sink: 'infinite' },
    { sQ: 3, sKv: 90, topk: 70, hQ: 80, hKv: 2, dQk: 512, lengths: true },
    { sQ: 2, sKv: 64, topk: 64, hQ: 64, dQk: 512, invalid: 'all' },
  ];
  it.each(cases)('equals the reference: %o', (params) => {
    const all = { op: 'sparse-prefill', ...params } as const;
    const problem = generateProblem(JSON.stringify(all), all) as SparsePrefill;
    const expected = referenceAnswers(problem);
    const actual = run(problem);
    for (const name of ['out', 'max_logits', 'lse'] as const) {
      const tolerance = toleranceOf('sparse-prefill', name, actual[name].dtype);
      const wanted = expected[name] ?? { values: new Float64Array() };
      expect(compare(name, 'reference', actual[name], wanted, tolerance)).toMatchObject({
        ...{ pass: true, failed: 0, firstBad: null },
      });
    }
  });
});
