import { DeviceLostError } from '@flash-mla/core';
import type { Device } from '../../../runtime/device/device.ts';
import { type Comparison, describeComparison } from '../compare.ts';
import type { ConformanceCase } from './conformance-case.ts';
import type { Exclusion } from './exclusion.ts';
import { exclusions, exclusionsOf } from './exclusions.ts';
import type { Execution } from './execute.ts';
import { type CaseSelection, selectCases } from './suite.ts';

/** What to run and how. */
export interface ConformanceOptions extends CaseSelection {
  /** Stops before the next case; the iteration rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called before each case. */
  readonly onProgress?: ((progress: ConformanceProgress) => void) | undefined;
  /**
   * Floating-point operations that the reference may spend on a case; beyond it, rows are sampled.
   * Default 4e8, about 0.15 s on one core.
   */
  readonly referenceBudget?: number;
  /** Instead of the built-in list. */
  readonly exclusions?: readonly Exclusion[];
}

export interface ConformanceProgress {
  /** Cases done. */
  readonly done: number;
  readonly total: number;
  /** The case that comes now. */
  readonly name: string;
}

/** The outcome of one case. */
export interface ConformanceResult {
  readonly name: string;
  readonly op: ConformanceCase['op'];
  readonly status: 'passed' | 'failed' | 'excluded';
  readonly comparisons: readonly Comparison[];
  /** Time of one call; 0 where the case was not run. */
  readonly microseconds: number;
  /** What is wrong, or why the case is excluded; empty where it passed. */
  readonly message: string;
}

/**
 * Runs the conformance suite on a device, one case at a time: a result for each, in order. A case that
 * throws has failed; only a lost device and the signal end the iteration. Needs nothing but the
 * library.
 *
 * A problem is answered in full by the float64 reference where that is affordable; of a larger one a
 * seeded sample of rows is, and all rows must be finite, bounded by the largest value and 0 where they
 * have no keys.
 */
export async function* runConformance(
  device: Device,
  options: ConformanceOptions = {},
): AsyncGenerator<ConformanceResult, void, undefined> {
  const { signal, onProgress, referenceBudget = 4e8, exclusions: list = exclusions } = options;
  const selected = selectCases(options);
  for (const [done, each] of selected.entries()) {
    signal?.throwIfAborted();
    onProgress?.({ done, total: selected.length, name: each.name });
    const applying = exclusionsOf(device.info.backend, each.name, list);
    const reason =
      each.excluded?.[device.info.backend] ??
      applying.find(({ tolerances }) => tolerances === undefined)?.reason;
    if (reason !== undefined) {
      yield result(each, 'excluded', reason);
      continue;
    }
    try {
      const settings = { referenceBudget, exclusions: applying, signal };
      yield judged(each, await each.execute(device, settings));
    } catch (error) {
      if (signal?.aborted || error instanceof DeviceLostError) throw error;
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      yield result(each, 'failed', text);
    }
  }
}

function judged(each: ConformanceCase, execution: Execution): ConformanceResult {
  const { comparisons, microseconds, problems } = execution;
  const wrong = comparisons.filter(({ pass }) => !pass).map(describeComparison);
  const message = [...wrong, ...problems].join('; ');
  // A case that compares nothing has shown nothing.
  const passed = message === '' && comparisons.length > 0;
  const status = passed ? 'passed' : 'failed';
  return { ...result(each, status, message), comparisons, microseconds };
}

function result(
  { name, op }: ConformanceCase,
  status: ConformanceResult['status'],
  message: string,
): ConformanceResult {
  return { name, op, status, comparisons: [], microseconds: 0, message };
}
