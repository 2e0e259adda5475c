import { describe, expect, it } from 'vitest';
import { dotsProblem } from '../../self-test/dots-problem.ts';
import { abi, runBeforeGuard, runs } from '../../testing/machine.ts';
import { vectorFeatures } from '../features.ts';
import { dotsKernels } from './dots.ts';

describe.each(['avx512', 'avx2'] as const)('products of rows with %s', (kind) => {
  const shapes = [1, 2, 3, 4, 7, 13].flatMap((rows) =>
    [1, 4, 11].flatMap((columns) =>
      [true, false].map((bf16) => ({ rows, columns, depth: rows > 4 ? 16 : 208, bf16 })),
    ),
  );

  it.skipIf(!runs(vectorFeatures[kind])).each(shapes)(
    '$rows rows, $columns columns, depth $depth, bf16 $bf16',
    (shape) => {
      const problem = dotsProblem(kind, shape);
      const result = runBeforeGuard(dotsKernels[kind].assemble(abi), problem);
      expect(problem.errorOf(result)).toBeLessThan(problem.tolerance);
    },
  );
});
