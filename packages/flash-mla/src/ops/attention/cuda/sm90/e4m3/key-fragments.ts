import { e4m3x4ToF16x2, type Ops, Pointer, type Value } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { inFours, type OperandLoad } from './operands.ts';
import { setDepth, stepsPerSet, tileBytes, tileColumns } from './tile.ts';

/*
 * `ldmatrix` takes a row's 16 bytes for 8 cells of 16 bits and gives lane l the bytes 4·(l mod 4) … + 3 of
 * row l / 4. As f16 these are the two registers of an operand of depth 16 whose columns stand in the
 * order 0 1 4 5 8 9 12 13 2 3 6 7 10 11 14 15. The queries stand in the same order, so that products are
 * right.
 */

/** Sixteen columns of a query row in that order, as two runs of 8. */
export function inKeyOrder(
  k: Ops,
  words: readonly Value<'b32'>[],
): readonly [Value<'b32'>[], Value<'b32'>[]] {
  const pairs = words.map((word) => e4m3x4ToF16x2(k, word.as('e4m3x4'), { nan: true }));
  return [pairs.map(([first]) => first.as('b32')), pairs.map(([, second]) => second.as('b32'))];
}

/**
 * Left operands of keys × queries, as f16: the warp's 16 tokens by 64 columns, from the stage that begins
 * at `start`.
 */
export function keyFragments(
  k: Ops,
  start: Pointer<'shared', 'e4m3'>,
  { lane, warpRow }: ConsumerPlace,
): (set: number) => OperandLoad {
  // Four 8×8 blocks: tokens 0 to 7 and 8 to 15 of 16 columns, then of the next 16.
  const row = warpRow.add(lane.and(15));
  const chunk = lane.shr(4).xor(lane.and(7)).shl(4);
  const first = start.bytes(row.mul(tileColumns).add(chunk)).folded();
  const setsPerTile = tileColumns / setDepth;
  return (set) => {
    const tile = Math.floor(set / setsPerTile);
    const within = set % setsPerTile;
    return () => {
      const words: Value<'e4m3x4'>[] = [];
      for (let step = 0; step < stepsPerSet; step += 2) {
        const bytes = within * setDepth + step * 16;
        const from = new Pointer('shared', first.element, first.base.xor(bytes));
        words.push(...k.ldmatrix(from.bytes(tile * tileBytes), 4));
      }
      return () => {
        const decoded = words.map((word) => e4m3x4ToF16x2(k, word, { nan: true }));
        return inFours(decoded, ([upper, lower]) => [upper[0], lower[0], upper[1], lower[1]]);
      };
    };
  };
}
