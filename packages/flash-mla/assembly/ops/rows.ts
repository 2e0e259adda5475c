/** How the query rows of one KV head are cut into tiles of nearly equal size. */

/** Tiles of at most `tileRows` rows. */
export function tileCount(rows: i32, tileRows: i32): i32 {
  return (rows + tileRows - 1) / tileRows;
}

/** Rows of each tile but the last; whole panels of 16. */
export function rowsPerTile(rows: i32, tileRows: i32): i32 {
  const tiles = tileCount(rows, tileRows);
  return min(rows, ((rows + tiles - 1) / tiles + 15) & ~15);
}
