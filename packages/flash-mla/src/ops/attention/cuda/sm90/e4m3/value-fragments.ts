import { e4m3x4ToF16x2, type Ops, Pointer, type Value } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { tileTokens } from '../dense/tile.ts';
import { inFours, type OperandLoad } from './operands.ts';
import { tileBytes, tileColumns } from './tile.ts';

/** Tokens of one transposed load of four 8×8 blocks, and loads of a block. */
const loadTokens = 32;
const loads = tileTokens / loadTokens;

/**
 * A transposed load gives a lane two columns of two tokens, in this order of bytes: columns 0 and 1 of
 * the first token, then of the second. They are exchanged so that a column's tokens lie side by side.
 * The upper nibbles are those of the second column. 4 takes a zero.
 */
const both = 0x3120;
const firstOnly = 0x4140;
const neither = 0x4444;

/** Selectors of `prmt` for each 8 tokens of a block. */
export type Selectors = readonly (Value<'u32'> | number)[];

/** For blocks of which all tokens are there. */
export const allTokens: Selectors = new Array<number>(tileTokens / 8).fill(both);

/**
 * For the last block of a request, of which `valid` tokens are there. What lies behind may be NaN, and
 * 0 · NaN is NaN: it becomes 0.
 */
export function selectors(k: Ops, { column }: ConsumerPlace, valid: Value<'u32'>): Selectors {
  return allTokens.map((_, i) => {
    const token = column.add(8 * i);
    const some = k.select(token.lt(valid), firstOnly, neither, 'u32');
    return k.select(token.add(1).lt(valid), both, some, 'u32');
  });
}

/**
 * Left operands of V × weights, as f16: 16 output columns of the warp by all 64 tokens, from the stage
 * that begins at `start`. Rows 0 to 7 of a fragment are even columns, 8 to 15 the odd ones.
 */
export function valueFragments(
  k: Ops,
  start: Pointer<'shared', 'e4m3'>,
  { consumer, lane, thread }: ConsumerPlace,
  selectors: Selectors,
): (step: number) => OperandLoad {
  const warp = thread.shr(5);
  // A consumer has two tiles of 128 columns, two of its warps share one, each with 64 columns.
  const tile = k.mad(consumer, 2, warp.shr(1)).mul(tileBytes);
  const chunk = warp.and(1).shl(2).xor(lane.and(7));
  const first = start.bytes(tile.add(lane.mul(tileColumns)).add(chunk.shl(4))).folded();
  return (step) => () => {
    const from = new Pointer('shared', first.element, first.base.xor(step * 16));
    const words = Array.from({ length: loads }, (_, load) =>
      k.ldmatrix(from.bytes(load * loadTokens * tileColumns), 4, { trans: true }),
    ).flat();
    return () => {
      const decoded = words.map((word, i) => {
        const pairs = k.prmt(word.as('b32'), 0, selectors[i]);
        return e4m3x4ToF16x2(k, pairs.as('e4m3x4'), { nan: true });
      });
      return inFours(decoded, ([upper, lower]) => [...upper, ...lower]);
    };
  };
}
