import type { HostTensor, StorageOf } from '@flash-mla/core';
import { normalCodes, type Random } from '../../../conformance/suite/random.ts';
import { poison } from '../../../conformance/upload.ts';

/** Where a generator puts the tokens of requests in a paged cache. */
export interface PagedPlan {
  /** i32 (b, maxBlocks). Entries beyond a request's length are far outside the cache. */
  readonly blockTable: HostTensor<'i32'>;
  readonly blocks: number;
  /** Tokens of each physical block that hold data; the rest is poison. */
  readonly filled: Int32Array;
}

/** Full blocks are shared between requests once they would take more memory than this. */
const largestPool = 32 * 2 ** 20;

/** A block number that would be far outside any cache: a kernel must not follow it. */
const unusedBlock = 2147480000;

/**
 * Places sequences in blocks in random order. A last, partial block belongs to one request and ends in
 * poison; spare blocks hold nothing but poison, spare columns of the table name no block.
 */
export function planPages(
  lengths: Int32Array,
  page: number,
  blockBytes: number,
  random: Random,
  { spareColumns = 1, spareBlocks = 2 } = {},
): PagedPlan {
  const full = lengths.map((n) => Math.floor(n / page));
  const wanted = full.reduce((sum, n) => sum + n, 0);
  const longest = full.reduce((most, n) => Math.max(most, n), 0);
  const pool = Math.min(wanted, Math.max(longest, Math.floor(largestPool / blockBytes)));
  const tails = lengths.reduce((count, n) => count + (n % page > 0 ? 1 : 0), 0);
  const blocks = pool + tails + spareBlocks;
  const physical = random.shuffle(Int32Array.from({ length: blocks }, (_, i) => i));
  const filled = new Int32Array(blocks);
  for (let i = 0; i < pool; i++) filled[physical[i] as number] = page;

  const used = lengths.reduce((most, n) => Math.max(most, Math.ceil(n / page)), 0);
  const maxBlocks = used + spareColumns;
  const table = new Int32Array(lengths.length * maxBlocks).fill(unusedBlock);
  const shared = physical.slice(0, pool);
  let nextFull = 0;
  let nextTail = pool;
  lengths.forEach((length, request) => {
    const row = request * maxBlocks;
    const count = full[request] as number;
    if (pool < wanted) random.shuffle(shared, count);
    const from = pool < wanted ? 0 : nextFull;
    table.set(shared.subarray(from, from + count), row);
    nextFull += count;
    if (length % page === 0) return;
    const tail = physical[nextTail++] as number;
    filled[tail] = length % page;
    table[row + count] = tail;
  });
  const blockTable = { dtype: 'i32', shape: [lengths.length, maxBlocks], data: table } as const;
  return { blockTable, blocks, filled };
}

/** A cache (blocks, page, heads, d) with normal values in its filled tokens and NaN elsewhere. */
export function pagedCache<D extends 'bf16' | 'f16' | 'e4m3'>(
  { blocks, filled }: PagedPlan,
  shape: { readonly dtype: D; readonly page: number; readonly heads: number; readonly d: number },
  deviation: number,
  random: Random,
): HostTensor<D> {
  const { dtype, page, heads, d } = shape;
  const data = poison(dtype, blocks * page * heads * d);
  const codes = normalCodes(dtype, deviation, deviation * 10);
  const token = heads * d;
  filled.forEach((tokens, block) => {
    random.fill(data as Uint16Array, block * page * token, tokens * token, codes as Uint16Array);
  });
  return { dtype, shape: [blocks, page, heads, d], data };
}

/** A contiguous tensor of normal values. */
export function normalTensor<D extends 'f32' | 'bf16' | 'f16' | 'e4m3'>(
  dtype: D,
  shape: readonly number[],
  deviation: number,
  random: Random,
): HostTensor<D> {
  const data = poison(
    dtype,
    shape.reduce((product, n) => product * n, 1),
  ) as StorageOf<D>;
  const codes = normalCodes(dtype, deviation, deviation * 10);
  random.fill(data as Uint16Array, 0, data.length, codes as Uint16Array);
  return { dtype, shape, data };
}
