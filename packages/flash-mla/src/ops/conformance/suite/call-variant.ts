import type { RunOptions } from '../run-problem.ts';

/** How a case calls its operation, beyond its problem. */
export type CallVariant = Pick<RunOptions, 'metadata' | 'deterministic' | 'gap' | 'graph'> & {
  /** Each request alone must give the bits it gives in the batch. Implies `deterministic`. */
  readonly invariant?: boolean;
};
