/** Debug mode: the checks of every backend, as the check kernel takes them. */

import type { CheckArgs, CheckProblem } from '../kernel-family.ts';

export * from '../../debug/checks.ts';

export function checkProblem({ values }: CheckArgs): CheckProblem {
  return { count: values.shape[0] ?? 0 };
}
