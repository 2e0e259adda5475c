import type { BenchProblem, OperationBench } from './operation.ts';

/** Forgets the type of the problems of a benchmark. */
export function defineBench<P extends BenchProblem>(bench: OperationBench<P>): OperationBench {
  return bench as unknown as OperationBench;
}
