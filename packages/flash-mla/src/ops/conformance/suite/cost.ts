import type { CaseParams, ProblemKind } from '../problem-kind.ts';

/** Kernels work on whole tiles of about this many rows of queries and of keys. */
const tile = 64;

/** Rows as kernels work on them: whole tiles. */
export function padded(rows: number): number {
  return Math.ceil(rows / tile) * tile;
}

/** Work of a case in millions of floating-point operations: what a slow device needs time for. */
export function caseCost<Params extends CaseParams>(
  kind: Pick<ProblemKind<never, Params>, 'cost'>,
  params: Params,
): number {
  return Math.ceil(kind.cost(params) / 1e6);
}
