import type { NativeProgram } from '../programs.ts';
import { runTrial } from './run.ts';

/**
 * Runs a kernel in a process of its own. Undefined: its results are right; else what is wrong. Never throws.
 */
export async function selfTest(
  { program, problems }: NativeProgram,
  koffi: string,
): Promise<string | undefined> {
  const code = Buffer.from(program.bytes).toString('base64');
  const tiles = program.features.includes('amx_tile');
  for (const { memory, job, tolerance, errorOf } of problems()) {
    try {
      const trial = { koffi, code, memory: Buffer.from(memory).toString('base64'), job, tiles };
      const result = await runTrial(trial);
      const error = result.length === memory.length ? errorOf(result) : Number.POSITIVE_INFINITY;
      if (!(error < tolerance)) return `its self-test is off by ${error}`;
    } catch (error) {
      return `its self-test failed: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}
