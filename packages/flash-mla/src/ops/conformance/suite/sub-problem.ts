import type { DType } from '@flash-mla/core';
import { packedSpan } from '../../attention/reference/dense-attention.ts';
import type { HostTensor, SparseCacheProblem } from '../../reference.ts';
import type { Problem } from '../problem.ts';

/** A problem that lets part of it stand alone, because its rows do not depend on each other. */
export type Divisible = Exclude<Problem, { op: 'quantize' | 'dequantize' | 'append' }>;

/** One request (decoding, dense attention) or one query (prefill), with some of its heads. */
export interface SubProblem {
  readonly problem: Divisible;
  /** For each row of the part's `out`: its row in the whole `out`. */
  readonly outRows: Int32Array;
  /** For each element of the part's `lse` (and `max_logits`): its place in the whole. */
  readonly lsePlaces: Int32Array;
}

export function isDivisible(problem: Problem): problem is Divisible {
  return problem.op !== 'quantize' && problem.op !== 'dequantize' && problem.op !== 'append';
}

/** How many parts {@link takePart} can take. */
export function partsOf(problem: Divisible): number {
  if (problem.op === 'varlen-attention') return problem.cuSeqlensQo.data.length - 1;
  return problem.q.shape[0] as number;
}

/**
 * Part `index` of a problem with the given heads of each group that shares a KV head. Inputs that are
 * not divided (the cache) are the same objects.
 */
export function takePart(
  problem: Divisible,
  index: number,
  headsOfGroup: readonly number[],
): SubProblem {
  const heads = allHeads(problem, headsOfGroup);
  switch (problem.op) {
    case 'dense-decode':
      return {
        problem: {
          ...problem,
          q: select(select(problem.q, 0, [index]), 2, heads),
          blockTable: select(problem.blockTable, 0, [index]),
          cacheSeqlens: select(problem.cacheSeqlens, 0, [index]),
        },
        ...batchPlaces(problem.q, index, heads),
      };
    case 'sparse-decode':
      return {
        problem: {
          ...problem,
          ...takeCache(problem, index),
          q: select(select(problem.q, 0, [index]), 2, heads),
          extra: problem.extra && takeCache(problem.extra, index),
          attnSink: problem.attnSink && select(problem.attnSink, 0, heads),
        },
        ...batchPlaces(problem.q, index, heads),
      };
    case 'cache-attention': {
      const blockTable = problem.blockTable ?? {
        dtype: 'i32',
        shape: [partsOf(problem), 1],
        data: Int32Array.from({ length: partsOf(problem) }, (_, i) => i),
      };
      return {
        problem: {
          ...problem,
          q: select(select(problem.q, 0, [index]), 2, heads),
          cacheSeqlens: select(problem.cacheSeqlens, 0, [index]),
          blockTable: select(blockTable, 0, [index]),
        },
        ...batchPlaces(problem.q, index, heads),
      };
    }
    case 'sparse-prefill': {
      const hQ = problem.q.shape[1] as number;
      const places = Int32Array.from(heads, (h) => index * hQ + h);
      return {
        problem: {
          ...problem,
          q: select(select(problem.q, 0, [index]), 1, heads),
          indices: select(problem.indices, 0, [index]),
          topkLength: problem.topkLength && select(problem.topkLength, 0, [index]),
          attnSink: problem.attnSink && select(problem.attnSink, 0, heads),
        },
        outRows: places,
        lsePlaces: places,
      };
    }
    case 'varlen-attention': {
      const [totalQ, hQ] = problem.q.shape as [number, number];
      const queries = range(problem.cuSeqlensQo, index, totalQ);
      const keys = range(problem.cuSeqlensKv, index, problem.k.shape[0] as number);
      return {
        problem: {
          ...problem,
          q: select(select(problem.q, 0, queries), 1, heads),
          k: select(problem.k, 0, keys),
          v: select(problem.v, 0, keys),
          cuSeqlensQo: offsets(queries.length),
          cuSeqlensKv: offsets(keys.length),
        },
        outRows: Int32Array.from(queries.flatMap((row) => heads.map((h) => row * hQ + h))),
        lsePlaces: Int32Array.from(heads.flatMap((h) => queries.map((row) => h * totalQ + row))),
      };
    }
  }
}

/** Heads that share one KV head. */
export function groupSize(problem: Divisible): number {
  const hQ = problem.q.shape.at(-2) as number;
  return hQ / kvHeads(problem);
}

export function kvHeads(problem: Divisible): number {
  switch (problem.op) {
    case 'dense-decode':
    case 'cache-attention':
      return problem.kCache.shape[2] as number;
    case 'sparse-decode':
      return 1;
    case 'sparse-prefill':
      return problem.kv.shape[1] as number;
    case 'varlen-attention':
      return problem.k.shape[1] as number;
  }
}

function allHeads(problem: Divisible, headsOfGroup: readonly number[]): number[] {
  const size = groupSize(problem);
  return Array.from({ length: kvHeads(problem) }, (_, group) =>
    headsOfGroup.map((h) => group * size + h),
  ).flat();
}

function takeCache<T extends SparseCacheProblem>(
  { kCache, indices, topkLength }: T,
  index: number,
) {
  return {
    kCache,
    indices: select(indices, 0, [index]),
    topkLength: topkLength && select(topkLength, 0, [index]),
  };
}

/** Places of request `index` in out (b, sQ, hQ, …) and lse (b, hQ, sQ). */
function batchPlaces(q: HostTensor, index: number, heads: readonly number[]) {
  const [, sQ, hQ] = q.shape as [number, number, number];
  const queries = Array.from({ length: sQ }, (_, s) => s);
  return {
    outRows: Int32Array.from(queries.flatMap((s) => heads.map((h) => (index * sQ + s) * hQ + h))),
    lsePlaces: Int32Array.from(heads.flatMap((h) => queries.map((s) => (index * hQ + h) * sQ + s))),
  };
}

function range(offsets: HostTensor<'i32'>, request: number, total: number): number[] {
  const [begin, end] = packedSpan(offsets, request, total);
  return Array.from({ length: end - begin }, (_, i) => begin + i);
}

function offsets(length: number): HostTensor<'i32'> {
  return { dtype: 'i32', shape: [2], data: Int32Array.of(0, length) };
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
