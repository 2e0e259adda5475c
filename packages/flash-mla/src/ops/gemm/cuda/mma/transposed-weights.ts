import { elementOf } from '../config.ts';
import { chunksOf, depthTile, type TileContext, type WeightTile } from './tile.ts';

/** Weights of bf16 whose rows are what is summed over: they are transposed on their way into fragments. */
export function transposedWeights(context: TileContext): WeightTile {
  const { k, p, matrices, threads, firstColumn, shared } = context;
  const { chunk, rows } = chunksOf(k, threads, depthTile);
  const column = firstColumn.add(chunk);
  const isThere = column.lt(p.columns);
  const source = k.select(isThere, column, 0, 'u32');
  return {
    fetch(stage, depth) {
      for (const row of rows) {
        const at = depth.add(row);
        const inDepth = at.lt(p.depth);
        const from = k.select(inDepth, at, 0, 'u32');
        const there = elementOf(k, matrices.weight, 'bf16', p.weightStride, from, source);
        const sourceBytes = k.select<'u32'>(isThere.and(inDepth), 16, 0, 'u32');
        k.cpAsync(shared.row(stage, row).at(chunk), there.as('bf16'), 16, { sourceBytes });
      }
      return () => {};
    },
    fragments(stage, d, firstOfTile) {
      const row = k.laneId.and(15).add(d);
      const ofLane = firstOfTile.add(k.laneId.shr(4).shl(3));
      const [b0, b1, b2, b3] = k.ldmatrix(shared.row(stage, row).at(ofLane), 4, { trans: true });
      return [
        [b0, b1],
        [b2, b3],
      ];
    },
  };
}
