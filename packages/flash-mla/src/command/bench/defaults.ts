import type { ProblemOptions, Scale } from '../../ops/bench/operation.ts';
import type { Note } from '../terminal/help.ts';
import { unbroken } from '../terminal/wrap.ts';
import { problemFlags } from './problem-flags.ts';

/** Who has defaults: an operation of `bench`, and those of `inspect` that take its sizes. */
export interface HasDefaults {
  readonly name: string;
  defaults(scale: Scale): ProblemOptions;
  readonly derived?: string | undefined;
}

/**
 * What operations take where options are not given, a paragraph each. Of two scales, whose values
 * differ in some options, both are given: `--b 4/128`.
 */
export function describeDefaults(
  operations: readonly HasDefaults[],
  scales: readonly Scale[],
): Note[] {
  const width = Math.max(...operations.map(({ name }) => name.length));
  return operations.map(({ name, defaults, derived }) => {
    const sets = scales.map((scale) => defaults(scale));
    const words = (Object.keys(problemFlags) as (keyof ProblemOptions)[]).flatMap((key) => {
      const values = [...new Set(sets.map((set) => set[key]))];
      const given = values.filter((value) => value !== undefined && value !== false);
      if (given.length === 0) return [];
      const { long } = problemFlags[key];
      return given[0] === true ? [`${long}`] : [unbroken(`${long} ${given.join('/')}`)];
    });
    const rest = derived === undefined ? '' : `; ${derived}`;
    return [`  ${name.padEnd(width)}  `, `${words.join(' ')}${rest}`] as const;
  });
}
