import type { Kernel, Value } from '@flash-mla/ptx';
import {
  buildExpertProduct,
  type HopperExpertsConfig,
  type HopperExpertsParams,
} from './sm90_expert_product.ts';

/** Rows of a multiplication's half: a lane has one row of each half of 16. */
const halfRows = 8;
/** Columns of activations that a block of 16 rows of weights makes: eight gates, and eight beside them. */
const blockColumns = 8;

/** Of a lane's sums of eight pairs: half 0 or 1 of the rows, pair 0 or 1 of its two. */
const sumOf = (block: number, half: number, pair: number) => block * 4 + half * 2 + pair;

/**
 * silu(gate) · up of few pairs: weights are the rows of multiplications, pairs their columns. The map of the
 * weights, (depth, 8, gate or up, eights of columns, experts), makes blocks of eight gates and what they are
 * multiplied with, which a lane then has both of.
 */
export function buildFewUp({ tile, columns }: HopperExpertsConfig): Kernel<HopperExpertsParams> {
  const columnsOfTile = tile.rows / 2;
  const columnTiles = Math.ceil(columns / columnsOfTile);
  return buildExpertProduct({
    ...{ name: 'sm90_few_expert_up', tile, columnTiles, columnsOfTile, isSecond: false },
    weights: 'a',
    a: (k, p) => ({
      map: p.weight,
      rowsOf({ column, batch }) {
        const zero = k.constant('u32', 0);
        return [{ count: tile.rows, at: [zero, zero, column.shr(3), batch] }];
      },
    }),
    b: (k, p) => ({
      map: p.x,
      rowsOf: ({ row }) => [{ count: tile.columns, at: [row, k.constant('u32', 0)] }],
    }),
    store(k, p, sums, place, row) {
      // Of 16 rows of weights, eight are gates: the lane's row of the first half is its column.
      const block = row.shr(4).mul(blockColumns);
      const column = place.column
        .add(block)
        .add(row.and(halfRows - 1))
        .named('out_column');
      const pairOfLane = k.laneId.and(3).shl(1);
      k.if(column.lt(columns), () => {
        for (let n = 0; n < tile.columns / 8; n++) {
          for (const c of [0, 1]) {
            const at = pairOfLane.add(n * 8 + c);
            const gate = sums[sumOf(n, 0, c)] as Value<'f32'>;
            const up = sums[sumOf(n, 1, c)] as Value<'f32'>;
            k.if(at.lt(place.count), () => {
              const value = gate.mul(k.rcp(k.ex2(gate.mul(-Math.LOG2E)).add(1))).mul(up);
              const to = p.out.bytes(k.mulWide(place.row.add(at), columns * 2)).as('u16');
              to.at(column).store(k.packBf16x2(value, k.constant('f32', 0)).as('u32'));
            });
          }
        }
      });
    },
  });
}

/** Activations of few pairs times weights, by pairs. */
export function buildFewDown({ tile, columns }: HopperExpertsConfig): Kernel<HopperExpertsParams> {
  const columnTiles = Math.ceil(columns / tile.rows);
  return buildExpertProduct({
    ...{
      name: 'sm90_few_expert_down',
      tile,
      columnTiles,
      columnsOfTile: tile.rows,
      isSecond: true,
    },
    weights: 'a',
    a: (_, p) => ({
      map: p.weight,
      rowsOf: ({ column, batch }) => [{ count: tile.rows, at: [column, batch] }],
    }),
    b: (k, p) => ({
      map: p.x,
      rowsOf: ({ row }) => [{ count: tile.columns, at: [row, k.constant('u32', 0)] }],
    }),
    store(k, p, sums, place, row) {
      const column = place.column.add(row);
      const pairOfLane = k.laneId.and(3).shl(1);
      for (let n = 0; n < tile.columns / 8; n++) {
        for (const c of [0, 1]) {
          const at = pairOfLane.add(n * 8 + c);
          k.if(at.lt(place.count), () => {
            const pair = p.order.at(place.row.add(at)).load({ relaxed: 'gpu' });
            const to = p.out.as('f32').at(k.mulWide(pair, columns)).at(column);
            for (const half of [0, 1]) {
              const value = sums[sumOf(n, half, c)] as Value<'f32'>;
              k.if(column.add(half * halfRows).lt(columns), () =>
                to.at(half * halfRows).store(value),
              );
            }
          });
        }
      }
    },
  });
}
