import type { NativeCode } from '../code.ts';
import { runTrial } from './run.ts';

/**
 * Runs a kernel in a process of its own. Undefined: its results are right; else what is wrong. Never throws.
 */
export async function selfTest(
  { name, bytes, tiles }: NativeCode,
  koffi: string,
): Promise<string | undefined> {
  const code = Buffer.from(bytes).toString('base64');
  try {
    const { problemsOf } = await import('../programs.ts');
    for (const { memory, job, tolerance, errorOf } of problemsOf(name)) {
      const trial = { koffi, code, memory: Buffer.from(memory).toString('base64'), job, tiles };
      const result = await runTrial(trial);
      const error = result.length === memory.length ? errorOf(result) : Number.POSITIVE_INFINITY;
      if (!(error < tolerance)) return `the self-test of ${name} is off by ${error}`;
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return `the self-test of ${name} failed: ${message}`;
  }
  return undefined;
}
