import { InvalidArgumentError } from '@flash-mla/core';
import { operationTools } from '../../operation-tools.ts';
import type { ConformanceCase } from './conformance-case.ts';

/** Which cases to run. */
export interface CaseSelection {
  /** `quick`: a spread over every feature. `full`: everything. Default quick. */
  readonly suite?: 'quick' | 'full';
  /** Keep cases whose names have all these words, in any order. */
  readonly filter?: string | undefined;
  /** Keep cases up to this {@link ConformanceCase.cost}. */
  readonly maxCost?: number | undefined;
  /** Keep every `count`-th case from `index` on: for several processes side by side. */
  readonly shard?: { readonly index: number; readonly count: number } | undefined;
}

let cases: readonly ConformanceCase[] | undefined;

/** The suite: one list for every backend. Quick cases come first. */
export function conformanceCases(): readonly ConformanceCase[] {
  if (cases === undefined) {
    const all = operationTools.flatMap((tools) => tools.cases);
    cases = unique([...all.filter(({ quick }) => quick), ...all.filter(({ quick }) => !quick)]);
  }
  return cases;
}

/** The cases that a selection means. Throws {@link InvalidArgumentError}. */
export function selectCases(selection: CaseSelection = {}): ConformanceCase[] {
  const { suite = 'quick', filter, maxCost = Number.POSITIVE_INFINITY, shard } = selection;
  if (suite !== 'quick' && suite !== 'full') {
    throw new InvalidArgumentError('suite', `'quick' or 'full'`, String(suite));
  }
  const { index, count } = shard ?? { index: 0, count: 1 };
  if (!Number.isInteger(count) || !Number.isInteger(index) || index < 0 || index >= count) {
    throw new InvalidArgumentError(
      'shard',
      'integers with 0 <= index < count',
      `${String(index)}/${String(count)}`,
    );
  }
  const words = (filter ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  return conformanceCases()
    .filter((c) => (suite === 'full' || c.quick) && c.cost <= maxCost)
    .filter((c) => words.every((word) => c.name.toLowerCase().includes(word)))
    .filter((_, i) => i % count === index);
}

/** A grid may meet a quick case. */
function unique(list: ConformanceCase[]): ConformanceCase[] {
  const byName = new Map<string, ConformanceCase>();
  for (const each of list) if (!byName.has(each.name)) byName.set(each.name, each);
  return [...byName.values()];
}
