/** Sizes of workspaces, for the host: the layout is declared in attend/tile.ts alone. */

import { BLOCK, layOut } from '../attend/tile';
import { rowsPerTile } from './rows';
import { bytesOfSlot } from './splits';

/** Tokens of a block. */
export function blockTokens(): i32 {
  return BLOCK;
}

/** Bytes of scratch that a thread needs for tiles of `rows` rows cut at `maxTileRows`. */
export function scratchBytes(
  rows: i32,
  maxTileRows: i32,
  dQk: i32,
  dV: i32,
  separateValues: i32,
): usize {
  return layOut(0, rowsPerTile(rows, maxTileRows), dQk, dV, separateValues != 0);
}

/** Bytes of one partial result of such a tile. */
export function slotBytes(rows: i32, maxTileRows: i32, dV: i32): usize {
  return bytesOfSlot(rowsPerTile(rows, maxTileRows), dV);
}
