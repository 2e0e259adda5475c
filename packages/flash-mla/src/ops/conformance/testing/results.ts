import type { Device } from '../../../index.ts';
import {
  type ConformanceOptions,
  type ConformanceResult,
  runConformance,
} from '../suite/run-conformance.ts';

/** All results of a run of the conformance suite. */
export async function resultsOf(
  device: Device,
  options: ConformanceOptions,
): Promise<ConformanceResult[]> {
  const results: ConformanceResult[] = [];
  for await (const result of runConformance(device, options)) results.push(result);
  return results;
}
