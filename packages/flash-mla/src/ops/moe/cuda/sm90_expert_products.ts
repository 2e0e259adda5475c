import {
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type ParamValues,
  tensorMap,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import { consume } from '../../kernel-lib/cuda/sm90/products/consume.ts';
import { type Operand, produce } from '../../kernel-lib/cuda/sm90/products/produce.ts';
import { takeRoles, threadsOf } from '../../kernel-lib/cuda/sm90/products/roles.ts';
import {
  type ProductTile,
  productLayout,
  type TilePlace,
  type Walk,
} from '../../kernel-lib/cuda/sm90/products/tile.ts';
import { transposeQuad } from '../../kernel-lib/cuda/sm90/quad.ts';
import { tileWords } from './sm80_sort_pairs.ts';

/** What the code of both products depends on. */
export interface HopperExpertsConfig {
  readonly tile: ProductTile;
  /** Columns of the result. */
  readonly columns: number;
}

const params = {
  /** bf16 (depth, places, 1): rows in the order of experts. */
  x: tensorMap('bf16'),
  /** bf16 (depth, rows, experts). */
  weight: tensorMap('bf16'),
  order: global('u32'),
  tiles: global('u32'),
  numTiles: global('u32'),
  /** Up: bf16 (places, columns); down: f32 (pairs, columns). */
  out: global('u8'),
  depth: 'u32',
} as const satisfies ParamDecls;

export type HopperExpertsParams = typeof params;

/** A tile of pairs of one expert: `batch` is the expert, `row` the place of the first pair. */
interface ExpertPlace extends TilePlace {
  readonly count: Value<'u32'>;
}

/** The tiles of this CTA; neighbours in time have the weights of an expert in common. */
function walkOf(
  k: Ops,
  p: ParamValues<HopperExpertsParams>,
  columnTiles: number,
  columnsOfTile: number,
): Walk<ExpertPlace> {
  return (visit) => {
    const to = p.numTiles.load().mul(columnTiles).named('all_tiles');
    const range = { from: k.blockIdx.x, to, step: k.gridDim.x, name: 'tile' } as const;
    k.for({ ...range, uniform: true, unroll: false }, (tile) => {
      const part = tile.div(columnTiles);
      const [batch, row, count] = [0, 1, 2].map((word) =>
        p.tiles.at(part.mul(tileWords)).at(word).load(),
      ) as [Value<'u32'>, Value<'u32'>, Value<'u32'>];
      visit({ batch, row, count, column: tile.rem(columnTiles).mul(columnsOfTile) });
    });
  };
}

/** silu(gate) · up of pairs, by their places in the order of experts. */
export function buildHopperUp({ tile, columns }: HopperExpertsConfig): Kernel<HopperExpertsParams> {
  const half = tile.columns / 2;
  return buildProduct('sm90_expert_up', tile, Math.ceil(columns / half), half, {
    // Gates, and as many rows of what they are multiplied with.
    weightsOf: ({ column, batch }) => [
      { count: half, row: column, batch },
      { count: half, row: column.add(columns), batch },
    ],
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
  return buildProduct('sm90_expert_down', tile, columnTiles, tile.columns, {
    weightsOf: ({ column, batch }) => [{ count: tile.columns, row: column, batch }],
    store(k, p, sums, place, row) {
      const ofLane = place.column.add(k.laneId.and(3).shl(1));
      for (const r of [0, 1]) {
        const at = row.add(r * 8);
        k.if(at.lt(place.count), () => {
          const pair = p.order.at(place.row.add(at)).load();
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

interface Product {
  readonly weightsOf: Operand<ExpertPlace>['rowsOf'];
  /** `row`: the first of the lane's two rows of the tile, eight apart. */
  store(
    k: Ops,
    p: ParamValues<HopperExpertsParams>,
    sums: readonly Var<'f32'>[],
    place: ExpertPlace,
    row: Value<'u32'>,
  ): void;
}

/** A product of the pairs of experts with their weights on warp groups. Grid: CTAs that share the tiles. */
function buildProduct(
  name: string,
  tile: ProductTile,
  columnTiles: number,
  columnsOfTile: number,
  { weightsOf, store }: Product,
): Kernel<HopperExpertsParams> {
  const options = {
    ...{ name, params, shared: productLayout(tile), minBlocksPerSm: 1 },
    block: [threadsOf(tile)] as const,
  } as const;
  return defineKernel(options, (k, p) => {
    k.waitForDependencies();
    k.launchDependents();
    const { depth } = p;
    const walk = walkOf(k, p, columnTiles, columnsOfTile);
    takeRoles(k, k.shared, tile, {
      produce() {
        const x: Operand<ExpertPlace> = {
          map: p.x,
          rowsOf: ({ row }) => [{ count: tile.rows, row, batch: k.constant('u32', 0) }],
        };
        produce(k, k.shared, tile, {
          walk,
          x,
          weight: { map: p.weight, rowsOf: weightsOf },
          depth,
        });
      },
      consume(group) {
        const warp = k.threadIdx.x.shr(5).and(3);
        const row = k.mad(group, 64, warp.shl(4)).add(k.laneId.shr(2));
        consume(k, k.shared, tile, { walk, depth, group }, (sums, place) =>
          k.section('store', () => store(k, p, sums, place, row)),
        );
      },
    });
  });
}
