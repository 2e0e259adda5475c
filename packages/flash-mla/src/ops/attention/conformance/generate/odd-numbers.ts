import type { HostTensor } from '@flash-mla/core';
import type { Random } from '../../../conformance/suite/random.ts';

/** Every other request fills the whole table, and the second has no tokens. */
export function fillWholePages(lengths: Int32Array, page: number): Int32Array {
  const capacity = Math.ceil(Math.max(...lengths) / page) * page;
  return lengths.map((n, i) => (i % 2 === 0 ? capacity : i === 1 ? 0 : n));
}

/**
 * Lengths that count as the given ones: where a request fills what it can have, `capacity`, any number
 * above; where it has nothing, one below 0.
 */
export function lengthsOutOfRange(lengths: Int32Array, capacity: number): Int32Array {
  const above = [capacity + 1, capacity + 70, 3 * capacity, 20 * capacity, 1e6, 2 ** 31 - 1];
  return lengths.map((n, i) => {
    if (n === 0) return i % 2 === 0 ? -1 : -(2 ** 31);
    return n === capacity ? (above[i % above.length] as number) : n;
  });
}

/** The table with a third of its entries beside the cache: always the first, and all of the second row. */
export function withMissingBlocks(
  { shape, data }: HostTensor<'i32'>,
  blocks: number,
  random: Random,
): HostTensor<'i32'> {
  const maxBlocks = shape[1] as number;
  const missing = [-1, blocks, blocks + 1, 2 ** 31 - 1, -(2 ** 31), -blocks];
  const spoiled = data.map((block, i) => {
    const row = Math.floor(i / maxBlocks);
    return i === 0 || row === 1 || random.chance(0.3) ? random.pick(missing) : block;
  });
  return { dtype: 'i32', shape, data: spoiled };
}
