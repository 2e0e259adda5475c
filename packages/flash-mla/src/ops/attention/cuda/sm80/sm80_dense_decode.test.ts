import { describe } from 'vitest';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import { denseProblem } from '../testing/dense-problem.ts';
import { portableDenseDecode } from './sm80_dense_decode_launch.ts';

const problem = (changes: Partial<DenseDecodeProblem>) =>
  denseProblem({ hasDescaleQ: true, hasDescaleK: true, ...changes });

const strides = (alignment: number) => ({ strides: [73728, 0, 576], alignment });

describe('dense decode on tensor cores', () => {
  const rows = [16, 32, 64] as const;
  const shapes = [
    ...rows.flatMap((numHeadsQ) =>
      (['bf16', 'e4m3'] as const).flatMap((dtype) =>
        ([64, 48] as const).map((pageSize) => ({ numHeadsQ, dtype, pageSize })),
      ),
    ),
    ...rows.map((numHeadsQ) => ({ numHeadsQ, dtype: 'f16' as const, outDtype: 'f16' as const })),
    ...rows.flatMap((numHeadsQ) =>
      (['bf16', 'e4m3'] as const).flatMap((dtype) =>
        [8, 1].map((alignment) => ({
          numHeadsQ,
          dtype,
          pageSize: 1,
          q: strides(alignment),
          kCache: strides(alignment),
        })),
      ),
    ),
    { numHeadsQ: 64, headDimQk: 128, headDimV: 128 },
    { numHeadsQ: 16, headDimQk: 192, headDimV: 128, dtype: 'e4m3' as const },
  ];
  itAssembles(
    shapes.map((shape) => ({
      name: JSON.stringify(shape),
      launch(target, maxSharedPerBlock) {
        const sm = Number(target.replace(/\D/g, ''));
        const limits = { ...limitsFor('h200'), sm, target, maxSharedPerBlock };
        return portableDenseDecode.plan(problem(shape), limits).launches.main;
      },
    })),
  );
});
