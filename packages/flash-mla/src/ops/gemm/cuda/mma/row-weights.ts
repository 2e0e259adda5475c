import { e4m3x4ToBf16x2, type Var } from '@flash-mla/ptx';
import { elementOf } from '../config.ts';
import { chunksOf, columnTile, type TileContext, type WeightTile } from './tile.ts';

/** Weights whose rows are columns of the result; e4m3 becomes bf16, exactly, on its way. */
export function rowWeights(context: TileContext): WeightTile {
  const { k, p, config, matrices, threads, firstColumn, shared } = context;
  const { dtype } = config.weight;
  const { chunk, rows } = chunksOf(k, threads, columnTile);
  const places = rows.map((row) => {
    const column = firstColumn.add(row);
    const there = column.min(p.columns.sub(1));
    const from = elementOf(k, matrices.weight, dtype, p.weightStride, there, chunk);
    return { row, from, isThere: column.lt(p.columns) };
  });

  const copy: WeightTile['fetch'] = (stage, depth) => {
    const inDepth = depth.add(chunk).lt(p.depth);
    for (const { row, from, isThere } of places) {
      const sourceBytes = k.select<'u32'>(isThere.and(inDepth), 16, 0, 'u32');
      const source = from.as('bf16').bytes(k.widen(k.select(inDepth, depth, 0, 'u32')).mul(2));
      k.cpAsync(shared.row(stage, row).at(chunk), source, 16, { sourceBytes });
    }
    return () => {};
  };
  /** Codes on their way in registers; what it returns puts them in place as bf16. */
  const convert: WeightTile['fetch'] = (stage, depth) => {
    const inDepth = depth.add(chunk).lt(p.depth);
    const codes = places.map(({ from, isThere }) => {
      const words = k.vars('b32', 2, 0);
      k.if(isThere.and(inDepth), () => {
        const loaded = from.bytes(k.widen(depth)).as('b32').loadVec(2, { nc: true });
        loaded.forEach((word, i) => {
          words[i]?.set(word);
        });
      });
      return words;
    });
    return () => {
      places.forEach(({ row }, i) => {
        const pairs = (codes[i] as Var<'b32'>[]).flatMap((word) =>
          e4m3x4ToBf16x2(k, word.as('e4m3x4'), { nan: true }).map((pair) => pair.as('b32')),
        );
        shared.row(stage, row).at(chunk).as('b32').storeVec(pairs);
      });
    };
  };
  return {
    fetch: dtype === 'e4m3' ? convert : copy,
    fragments(stage, d, column) {
      const half = k.laneId.shr(3).and(1).shl(3);
      const row = k.mad(k.laneId.shr(4), 8, k.laneId.and(7)).add(column);
      const [b0, b1, b2, b3] = k.ldmatrix(shared.row(stage, row).at(half.add(d)), 4);
      return [
        [b0, b1],
        [b2, b3],
      ];
    },
  };
}
