import { describe, expect, it } from 'vitest';
import { packProblem } from '../../self-test/pack-problem.ts';
import { abi, runBeforeGuard, runs } from '../../testing/machine.ts';
import { vectorFeatures } from '../features.ts';
import { packKernels } from './pack.ts';

describe.each(['avx512', 'avx2'] as const)('packing rows with %s', (kind) => {
  const shapes = [1, 2, 30].flatMap((rows) => [
    { rows, isModel1: false },
    { rows, isModel1: true },
  ]);

  it.skipIf(!runs(vectorFeatures[kind])).each(shapes)(
    '$rows rows, model1: $isModel1, bit for bit',
    (shape) => {
      const problem = packProblem(kind, shape);
      const result = runBeforeGuard(packKernels[kind].assemble(abi), problem);
      expect(problem.errorOf(result)).toBe(0);
    },
  );
});
