import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CudaKernel, OperationPlan } from '../../../../runtime/cuda/kernel.ts';
import { limitsFor } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import { fewRowsDenseDecode, hopperDenseDecode } from '../sm90/sm90_dense_decode_launch.ts';
import { e4m3DenseDecode } from '../sm90/sm90_e4m3_dense_decode_launch.ts';
import { denseProblem } from '../testing/dense-problem.ts';
import { portableDenseDecode } from './sm80_dense_decode_launch.ts';

const limits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };

const problems: fc.Arbitrary<DenseDecodeProblem> = fc
  .record({
    dtype: fc.constantFrom('bf16', 'f16', 'e4m3'),
    batch: fc.constantFrom(1, 2, 7, 64, 132, 300),
    seqLenQ: fc.constantFrom(1, 2),
    numHeadsQ: fc.constantFrom(1, 8, 16, 32, 64, 128, 192, 256),
    pageSize: fc.constantFrom(48, 64),
    maxBlocks: fc.constantFrom(1, 2, 64, 512),
    alignment: fc.constantFrom(16, 8),
    numParts: fc.constantFrom(1, 33, 66, 132),
    splitBlocks: fc.constantFrom(0, 16),
  } as const)
  .map(({ alignment, numParts, splitBlocks, ...sizes }) =>
    denseProblem({
      ...sizes,
      outDtype: sizes.dtype === 'f16' ? 'f16' : 'bf16',
      kCache: { strides: [36864, 576, 0], alignment },
      plan: { numParts, blockTokens: 64, overheadBlocks: 5, splitBlocks },
    }),
  );

/** What is compiled for a plan. */
const compiled = ({ launches }: OperationPlan) =>
  Object.entries(launches).map(([role, { kernel, config, cluster, overlap }]) => ({
    ...{ role, name: kernel.name, config, cluster, overlap },
  }));

type Kernel = Pick<
  CudaKernel<never, DenseDecodeProblem, OperationPlan>,
  'accepts' | 'keyOf' | 'plan'
>;

describe('the key of a dense decode problem', () => {
  it.each<[string, Kernel]>([
    ['portable', portableDenseDecode],
    ['few rows', fewRowsDenseDecode],
    ['Hopper', hopperDenseDecode],
    ['e4m3', e4m3DenseDecode],
  ])('%s: equal keys mean equal code', (_name, kernel) => {
    const codeOf = new Map<string, unknown>();
    fc.assert(
      fc.property(problems, (problem) => {
        fc.pre(kernel.accepts?.(problem, limits) ?? true);
        const key = JSON.stringify(kernel.keyOf(problem, limits));
        const code = compiled(kernel.plan(problem, limits));
        expect(code).toEqual(codeOf.get(key) ?? code);
        codeOf.set(key, code);
      }),
      { numRuns: 400, seed: 7 },
    );
    expect(codeOf.size).toBeGreaterThan(3);
  });
});
