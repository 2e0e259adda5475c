import type { FamilyOperation } from '../kernel-family.ts';
import type { Launcher } from './launcher.ts';
import { samePlain } from './same-plain.ts';

/** Distinct problems that stay bound: layers, batch sizes and cache shapes of a few models. */
const keptProblems = 64;

interface Bound<Problem, Args> {
  readonly problem: Problem;
  readonly run: (args: Args) => void;
}

/** Finds the function that enqueues an operation for a problem, binding it at the first call. */
export class BoundOperation<Problem, Args> {
  readonly #choose: (problem: Problem) => FamilyOperation<Problem, Args>;
  readonly #launcher: Launcher;
  /** Most recently used first. */
  readonly #bound: Bound<Problem, Args>[] = [];

  constructor(choose: (problem: Problem) => FamilyOperation<Problem, Args>, launcher: Launcher) {
    this.#choose = choose;
    this.#launcher = launcher;
  }

  /** Throws `KernelCompileError`, `OutOfMemoryError`, `DeviceLostError`; then nothing is enqueued. */
  enqueue(problem: Problem, args: Args): void {
    const run = this.#find(problem) ?? this.#bind(problem);
    try {
      run(args);
    } finally {
      this.#launcher.releaseScratch();
    }
  }

  #find(problem: Problem): ((args: Args) => void) | undefined {
    const bound = this.#bound;
    for (let i = 0; i < bound.length; i++) {
      const entry = bound[i];
      if (entry === undefined || !samePlain(entry.problem, problem)) continue;
      if (i > 0) {
        bound.splice(i, 1);
        bound.unshift(entry);
      }
      return entry.run;
    }
    return undefined;
  }

  #bind(problem: Problem): (args: Args) => void {
    const operation = this.#choose(problem);
    const plan = operation.plan(problem, this.#launcher.limits);
    const run = operation.bind(this.#launcher, plan, problem);
    this.#bound.unshift({ problem, run });
    if (this.#bound.length > keptProblems) this.#bound.pop();
    return run;
  }
}
