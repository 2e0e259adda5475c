import type { Kernel, Value } from '@flash-mla/ptx';
import { transposeQuad } from '../../kernel-lib/cuda/sm90/quad.ts';
import {
  buildExpertProduct,
  type HopperExpertsConfig,
  type HopperExpertsParams,
} from './sm90_expert_product.ts';

/** silu(gate) · up of pairs, by their places in the order of experts. */
export function buildHopperUp({ tile, columns }: HopperExpertsConfig): Kernel<HopperExpertsParams> {
  const half = tile.columns / 2;
  const columnTiles = Math.ceil(columns / half);
  return buildExpertProduct({
    ...{ name: 'sm90_expert_up', tile, columnTiles, columnsOfTile: half, isSecond: false },
    weights: 'b',
    a: (k, p) => ({
      map: p.x,
      rowsOf: ({ row }) => [{ count: tile.rows, at: [row, k.constant('u32', 0)] }],
    }),
    // Gates, and as many rows of what they are multiplied with.
    b: (_, p) => ({
      map: p.weight,
      rowsOf: ({ column, batch }) => [
        { count: half, at: [column, batch] },
        { count: half, at: [column.add(columns), batch] },
      ],
    }),
    store(k, p, sums, place, row) {
      const blocks = half / 8;
      const quad = k.laneId.and(3);
      for (const r of [0, 1]) {
        const at = row.add(r * 8);
        for (let block = 0; block < blocks; block += 4) {
          const words = [0, 1, 2, 3].map((i) => {
            const [low, high] = [0, 1].map((c) => {
              const gate = sums[(block + i) * 4 + r * 2 + c] as Value<'f32'>;
              const up = sums[(blocks + block + i) * 4 + r * 2 + c] as Value<'f32'>;
              return gate.mul(k.rcp(k.ex2(gate.mul(-Math.LOG2E)).add(1))).mul(up);
            }) as [Value<'f32'>, Value<'f32'>];
            return k.packBf16x2(low, high).as('b32');
          });
          const own = transposeQuad(k, k.laneId, words);
          const column = place.column.add(block * 8).add(quad.shl(3));
          k.if(at.lt(place.count).and(column.lt(columns)), () => {
            const to = p.out.bytes(k.mulWide(place.row.add(at), columns * 2));
            to.bytes(k.widen(column.mul(2)))
              .as('b32')
              .storeVec(own);
          });
        }
      }
    },
  });
}

/** Activations times weights, by pairs. */
export function buildHopperDown(config: HopperExpertsConfig): Kernel<HopperExpertsParams> {
  const { tile, columns } = config;
  const columnTiles = Math.ceil(columns / tile.columns);
  const columnsOfTile = tile.columns;
  return buildExpertProduct({
    ...{ name: 'sm90_expert_down', tile, columnTiles, columnsOfTile, isSecond: true },
    weights: 'b',
    a: (k, p) => ({
      map: p.x,
      rowsOf: ({ row }) => [{ count: tile.rows, at: [row, k.constant('u32', 0)] }],
    }),
    b: (_, p) => ({
      map: p.weight,
      rowsOf: ({ column, batch }) => [{ count: tile.columns, at: [column, batch] }],
    }),
    store(k, p, sums, place, row) {
      const ofLane = place.column.add(k.laneId.and(3).shl(1));
      for (const r of [0, 1]) {
        const at = row.add(r * 8);
        k.if(at.lt(place.count), () => {
          const pair = p.order.at(place.row.add(at)).load({ relaxed: 'gpu' });
          const to = p.out.as('f32').at(k.mulWide(pair, columns)).at(ofLane);
          for (let block = 0; block < tile.columns / 8; block++) {
            const values = [0, 1].map((c) => sums[block * 4 + r * 2 + c] as Value<'f32'>);
            k.if(ofLane.add(block * 8).lt(columns), () => to.at(block * 8).storeVec(values));
          }
        });
      }
    },
  });
}
