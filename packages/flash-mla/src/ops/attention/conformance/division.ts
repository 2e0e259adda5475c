import { decodeInto, type HostTensor } from '@flash-mla/core';
import { select } from '../../conformance/suite/sub-problem.ts';
import type { SparseCacheProblem } from '../reference/sparse-rows.ts';

/** Queries (b, sQ, hQ, …) of one request with some heads, and their places in out and lse (b, hQ, sQ). */
export function takeRequest<T extends HostTensor>(q: T, index: number, heads: readonly number[]) {
  const [, sQ, hQ] = q.shape as [number, number, number];
  const queries = Array.from({ length: sQ }, (_, s) => s);
  return {
    q: select(select(q, 0, [index]), 2, heads) as T,
    places: {
      outRows: Int32Array.from(queries.flatMap((s) => heads.map((h) => (index * sQ + s) * hQ + h))),
      lsePlaces: Int32Array.from(
        heads.flatMap((h) => queries.map((s) => (index * hQ + h) * sQ + s)),
      ),
    },
  };
}

/** Where the lse (b, hQ, sQ) of a row of out (b, sQ, hQ, …) stands. */
export function lseOfRequest({ q }: { readonly q: HostTensor }, row: number): number {
  const [, sQ, hQ] = q.shape as [number, number, number];
  const head = row % hQ;
  const query = Math.floor(row / hQ);
  return (Math.floor(query / sQ) * hQ + head) * sQ + (query % sQ);
}

/** A sparse cache as one request or query sees it. */
export function takeIndices<T extends SparseCacheProblem>(
  { kCache, indices, topkLength }: T,
  index: number,
) {
  return {
    kCache,
    indices: select(indices, 0, [index]),
    topkLength: topkLength && select(topkLength, 0, [index]),
  };
}

/** The largest absolute value of a tensor that is finite. */
export function largest(tensor: HostTensor): number {
  const chunk = new Float64Array(4096);
  let most = 0;
  for (let begin = 0; begin < tensor.data.length; begin += chunk.length) {
    const count = Math.min(chunk.length, tensor.data.length - begin);
    decodeInto(tensor, begin, count, chunk, 0);
    for (let i = 0; i < count; i++) {
      const size = Math.abs(chunk[i] as number);
      if (size > most) most = size; // false for the poison, NaN
    }
  }
  return most;
}

/** All numbers of a tensor of bf16, f16 or e4m3 without their signs. */
export function unsigned<T extends HostTensor>(tensor: T): T {
  const mask = tensor.dtype === 'e4m3' ? 0x7f : 0x7fff;
  return { ...tensor, data: (tensor.data as Uint16Array).map((code) => code & mask) };
}

/** A problem with another scale: this many times its own, or the default. */
export function scaleTimes<
  P extends { readonly q: HostTensor; readonly softmaxScale?: number | undefined },
>(problem: P, factor: number): P {
  const scale = problem.softmaxScale ?? 1 / Math.sqrt(problem.q.shape.at(-1) as number);
  return { ...problem, softmaxScale: scale * factor };
}
