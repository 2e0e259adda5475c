import { type DType, encodeElements, type StorageOf } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';

/** Uniform numbers in [0, 1), the same for the same seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An even number of standard normals. */
export function normals(count: number, next: () => number): Float32Array {
  const drawn = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    drawn[i] = radius * Math.cos(angle);
    drawn[i + 1] = radius * Math.sin(angle);
  }
  return drawn;
}

/** Values in the pool that tensors are filled from; drawing each one afresh would take minutes. */
const poolSize = 1 << 20;
const pools = new Map<DType, StorageOf<DType>>();

function pool<D extends DType>(dtype: D): StorageOf<D> {
  const known = pools.get(dtype);
  if (known !== undefined) return known as StorageOf<D>;
  const codes = encodeElements(dtype, normals(poolSize, uniform(0x5eed)));
  pools.set(dtype, codes);
  return codes;
}

/** Fills a contiguous tensor with standard normals, piecewise, from random places of the pool. */
export function fillNormal(tensor: Tensor, next: () => number): void {
  const source = pool(tensor.dtype);
  const flat = tensor.reshape([tensor.size]);
  for (let done = 0; done < tensor.size; ) {
    const begin = Math.floor(next() * (poolSize / 2));
    const count = Math.min(poolSize - begin, tensor.size - done);
    flat.slice(0, done, done + count).write(source.subarray(begin, begin + count));
    done += count;
  }
}

/** The numbers 0 … count − 1 in random order. */
export function permutation(count: number, next: () => number): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    const taken = order[i] as number;
    order[i] = order[j] as number;
    order[j] = taken;
  }
  return order;
}

/** `count` different numbers below `range`, in random order (fewer than `count` where `range` is). */
export function distinct(count: number, range: number, next: () => number): Int32Array {
  if (count * 4 >= range) return permutation(range, next).subarray(0, count);
  const taken = new Set<number>();
  while (taken.size < count) taken.add(Math.floor(next() * range));
  return Int32Array.from(taken);
}
