import { type DrawnProblem, withValues } from './draw-problem.ts';
import { simplerValues } from './parameters.ts';

/** The most problems that are tried to make a failure smaller. */
const mostTries = 150;

/**
 * A smaller problem that still fails: parameters are made simpler one by one while `fails` says so.
 * Returns the problem itself where nothing simpler fails.
 */
export async function shrink(
  problem: DrawnProblem,
  fails: (smaller: DrawnProblem) => Promise<boolean>,
): Promise<DrawnProblem> {
  let smallest = problem;
  let tries = 0;
  let isShrinking = true;
  while (isShrinking) {
    isShrinking = false;
    for (const values of simplerValues(smallest.operation.space, smallest.values)) {
      const smaller = withValues(smallest, values);
      // Values that go together may undo a change.
      if (smaller.name === smallest.name || smaller.cost > smallest.cost * 1.01 + 1) continue;
      if (tries++ >= mostTries) return smallest;
      if (!(await fails(smaller))) continue;
      smallest = smaller;
      isShrinking = true;
      break;
    }
  }
  return smallest;
}
