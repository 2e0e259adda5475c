import type { Ops, Value } from '@flash-mla/ptx';
import { transposeQuad } from './quad.ts';

/**
 * Stores a row of an accumulator, whose lanes hold pairs of columns in every 8: each lane then has 8
 * columns side by side in every 32. `pack` gives the pair of a block of 8 columns, and `store` takes the
 * words of the four blocks from `block` on.
 */
export function storeRow(
  k: Ops,
  lane: Value<'u32'>,
  blocks: number,
  pack: (block: number) => Value<'b32'>,
  store: (block: number, words: readonly Value<'b32'>[]) => void,
): void {
  for (let block = 0; block < blocks; block += 4) {
    const pairs = [0, 1, 2, 3].map((i) => pack(block + i));
    store(block, transposeQuad(k, lane, pairs));
  }
}
