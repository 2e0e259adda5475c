import type { Ops, Value } from '@flash-mla/ptx';
import { type MlaTile, tileShape } from './tile.ts';

/** Where a warp stands in the softmax: 16 query rows, and its share of a step's tokens. */
export interface WarpPlace {
  /** The CTA's threads: index, lane, warp. */
  readonly thread: Value<'u32'>;
  readonly lane: Value<'u32'>;
  readonly warp: Value<'u32'>;
  /** Which 16 rows. */
  readonly rowTile: Value<'u32'>;
  /** Which of the warps that share the rows. */
  readonly group: Value<'u32'>;
  /** The first of the two rows, 8 apart, whose scores the lane holds. */
  readonly row: Value<'u32'>;
  /** The first of the pair of columns that the lane holds in every 8. */
  readonly column: Value<'u32'>;
}

export function warpPlace(k: Ops, tile: MlaTile): WarpPlace {
  const { rowTiles } = tileShape(tile);
  const lane = k.laneId;
  const warp = k.warpId;
  const rowTile = warp.and(rowTiles - 1).named('row_tile');
  const group = warp.shr(Math.log2(rowTiles)).named('group');
  return {
    thread: k.threadIdx.x,
    lane,
    warp,
    rowTile,
    group,
    row: k.mad(rowTile, 16, lane.shr(2)).named('row'),
    column: lane.and(3).shl(1).named('column'),
  };
}
