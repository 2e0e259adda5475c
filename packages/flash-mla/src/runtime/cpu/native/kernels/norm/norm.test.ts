import { describe, expect, it } from 'vitest';
import { normProblem } from '../../self-test/norm-problem.ts';
import { abi, runBeforeGuard, runs } from '../../testing/machine.ts';
import { vectorFeatures } from '../features.ts';
import { normKernels } from './norm.ts';

const elements = ['bf16', 'f32'] as const;

describe.each(['avx512', 'avx2'] as const)('norms of rows with %s', (kind) => {
  const shapes = [32, 576].flatMap((columns) =>
    elements.flatMap((x) =>
      elements.flatMap((out) =>
        [undefined, ...elements].map((residual) => ({
          ...{ columns, x, out },
          ...(residual && { residual }),
        })),
      ),
    ),
  );

  it.skipIf(!runs(vectorFeatures[kind])).each(shapes)('%o', (shape) => {
    const problem = normProblem(kind, shape);
    const result = runBeforeGuard(normKernels[kind].assemble(abi), problem);
    expect(problem.errorOf(result)).toBeLessThan(problem.tolerance);
  });
});
