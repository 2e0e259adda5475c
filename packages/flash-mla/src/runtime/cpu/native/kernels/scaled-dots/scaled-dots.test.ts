import { describe, expect, it } from 'vitest';
import { scaledDotsProblem } from '../../self-test/scaled-dots-problem.ts';
import { abi, runBeforeGuard, runs } from '../../testing/machine.ts';
import { vectorFeatures } from '../features.ts';
import { scaledDotsKernels } from './scaled-dots.ts';

describe.each(['avx512', 'avx2'] as const)('products with weights of e4m3 by %s', (kind) => {
  const shapes = [1, 2, 3, 4, 7, 13].flatMap((rows) =>
    [1, 4, 11].flatMap((columns) =>
      [32, 128, 224, 416].map((depth) => ({ rows, columns, depth, withNaN: columns === 11 })),
    ),
  );

  it.skipIf(!runs(vectorFeatures[kind])).each(shapes)(
    '$rows rows, $columns columns, depth $depth, NaN among the last $withNaN',
    (shape) => {
      const problem = scaledDotsProblem(kind, shape);
      const result = runBeforeGuard(scaledDotsKernels[kind].assemble(abi), problem);
      expect(problem.errorOf(result)).toBeLessThan(problem.tolerance);
    },
  );
});
