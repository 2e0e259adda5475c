import type { Program } from '@flash-mla/machine-code';
import type { VectorKind } from '../kernels/vectors.ts';
import { type AttendShape, attendProblem } from './attend-problem.ts';
import { runTrial } from './run.ts';

/** Few, small, and yet every part of the kernel: whole and cut tiles, rows and columns, a mask. */
const shapes: readonly AttendShape[] = [
  { rows: 45, tokens: 63, headDimQk: 70, headDimV: 40, masked: true, continued: true },
  { rows: 16, tokens: 64, headDimQk: 192, headDimV: 128, masked: false, continued: false },
];

/** Float32 sums of some hundred products. */
const tolerance = 1e-5;

/**
 * Runs a kernel in a process of its own. Undefined: its results are right; else what is wrong. Never throws.
 */
export async function selfTest(
  kind: VectorKind,
  { bytes }: Program,
  koffi: string,
): Promise<string | undefined> {
  const code = Buffer.from(bytes).toString('base64');
  for (const shape of shapes) {
    const { memory, job, errorOf } = attendProblem(kind, shape);
    try {
      const trial = { koffi, code, memory: Buffer.from(memory).toString('base64'), job };
      const result = await runTrial(trial);
      const error = result.length === memory.length ? errorOf(result) : Number.POSITIVE_INFINITY;
      if (!(error < tolerance)) return `its self-test is off by ${error}`;
    } catch (error) {
      return `its self-test failed: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}
