import { describe, expect, it } from 'vitest';
import { dequantizeProblem } from '../../self-test/dequantize-problem.ts';
import { abi, runBeforeGuard, runs } from '../../testing/machine.ts';
import { vectorFeatures } from '../features.ts';
import { dequantizeKernels } from './dequantize.ts';

describe.each(['avx512', 'avx2'] as const)('packed rows become bf16 with %s', (kind) => {
  const shapes = [1, 2, 30].flatMap((rows) => [
    { rows, isModel1: false },
    { rows, isModel1: true },
  ]);

  it.skipIf(!runs(vectorFeatures[kind])).each(shapes)(
    '$rows rows, model1: $isModel1, bit for bit',
    (shape) => {
      const problem = dequantizeProblem(kind, shape);
      const result = runBeforeGuard(dequantizeKernels[kind].assemble(abi), problem);
      expect(problem.errorOf(result)).toBe(0);
    },
  );
});
