import { describe, expect, it } from 'vitest';
import { type AttendShape, attendProblem } from '../../self-test/attend-problem.ts';
import { abi, runBeforeGuard, runs } from '../../testing/machine.ts';
import { vectorFeatures } from '../features.ts';
import { attendKernels } from './attend.ts';

const base: AttendShape = {
  rows: 16,
  tokens: 64,
  headDimQk: 576,
  headDimV: 512,
  masked: false,
  continued: false,
};
const shapes: AttendShape[] = [
  base,
  { ...base, rows: 128, masked: true, continued: true },
  { ...base, rows: 5, tokens: 1, continued: true },
  { ...base, rows: 23, tokens: 37, continued: true },
  { ...base, rows: 45, tokens: 63, masked: true },
  { ...base, rows: 33, tokens: 5, headDimQk: 41, headDimV: 23, continued: true },
  { ...base, rows: 61, tokens: 19, headDimQk: 128, headDimV: 128, masked: true },
  { ...base, rows: 7, tokens: 2, headDimQk: 3, headDimV: 1 },
];

describe.each(['avx512', 'avx2'] as const)('attending to a block with %s', (kind) => {
  it.skipIf(!runs(vectorFeatures[kind])).each(shapes)(
    '$rows rows, $tokens tokens, $headDimQk/$headDimV',
    (shape) => {
      const problem = attendProblem(kind, shape);
      const result = runBeforeGuard(attendKernels[kind].assemble(abi), problem);
      expect(problem.errorOf(result)).toBeLessThan(problem.tolerance);
    },
  );
});
