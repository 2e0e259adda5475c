import type { DType, HostTensor } from '@flash-mla/core';
import type { Problem } from '../problem.ts';
import type { ProblemKind } from '../problem-kind.ts';

/** A problem that lets part of it stand alone, because its rows do not depend on each other. */
export interface Divisible extends Problem {
  /** (…, heads, columns). */
  readonly q: HostTensor;
}

/** One request, or one query, with some of its heads. */
export interface SubProblem<P> {
  readonly problem: P;
  /** For each row of the part's `out`: its row in the whole `out`. */
  readonly outRows: Int32Array;
  /** For each element of the part's `lse` (and `max_logits`): its place in the whole. */
  readonly lsePlaces: Int32Array;
}

/** How problems of one kind are divided, and what holds for each of their rows. */
export interface Division<P extends Divisible> {
  /** How many parts {@link Division.take} can take. */
  partsOf(problem: P): number;
  /** Part `index` with these heads. Inputs that are not divided (the cache) are the same objects. */
  take(problem: P, index: number, heads: readonly number[]): SubProblem<P>;
  /** Pairs of a query and a key in part `index`, of one head. */
  pairsOf(problem: P, index: number): number;
  headsKv(problem: P): number;
  headDimV(problem: P): number;
  /** Where the lse of a row of `out` stands. */
  lsePlace(problem: P, row: number): number;
  /**
   * The largest finite value of V.
   *
   * @param valueSize size of values of packed rows, relative to those of the suite.
   */
  largestValue(problem: P, valueSize: number): number;
  /** The problem with another scale of its logits: this many times its own. */
  scaled(problem: P, factor: number): P;
  /** All numbers of queries and keys without their signs. */
  unsigned(problem: P): P;
}

/** A kind whose problems can be divided. */
export type DivisibleKind<P extends Divisible = Divisible> = ProblemKind<P> & {
  readonly division: Division<P>;
};

export function isDivisible(kind: ProblemKind): kind is DivisibleKind {
  return kind.division !== undefined;
}

/** Part `index` of a problem with the given heads of each group that shares a KV head. */
export function takePart<P extends Divisible>(
  division: Division<P>,
  problem: P,
  index: number,
  headsOfGroup: readonly number[],
): SubProblem<P> {
  const size = groupSize(division, problem);
  const heads = Array.from({ length: division.headsKv(problem) }, (_, group) =>
    headsOfGroup.map((h) => group * size + h),
  ).flat();
  return division.take(problem, index, heads);
}

/** Heads that share one KV head. */
export function groupSize<P extends Divisible>(division: Division<P>, problem: P): number {
  return (problem.q.shape.at(-2) as number) / division.headsKv(problem);
}

/** The entries `indices` along one dimension, as a copy. */
export function select<D extends DType>(
  { dtype, shape, data }: HostTensor<D>,
  dimension: number,
  indices: readonly number[],
): HostTensor<D> {
  const inner = shape.slice(dimension + 1).reduce((product, n) => product * n, 1);
  const extent = shape[dimension] as number;
  const outer = shape.slice(0, dimension).reduce((product, n) => product * n, 1);
  const selected = data.slice(0, outer * indices.length * inner);
  for (let o = 0; o < outer; o++) {
    indices.forEach((index, i) => {
      const begin = (o * extent + index) * inner;
      // Both have the storage type of one dtype, which TypeScript cannot follow.
      selected.set(data.subarray(begin, begin + inner) as never, (o * indices.length + i) * inner);
    });
  }
  const newShape = shape.map((n, d) => (d === dimension ? indices.length : n));
  return { dtype, shape: newShape, data: selected as typeof data };
}
