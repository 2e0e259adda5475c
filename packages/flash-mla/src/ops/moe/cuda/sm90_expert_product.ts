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
import { tileWords } from './sm80_sort_pairs.ts';

/** What the code of a product depends on. */
export interface HopperExpertsConfig {
  readonly tile: ProductTile;
  /** Columns of the result. */
  readonly columns: number;
}

const params = {
  /** bf16 (depth, places, 1): rows in the order of experts. */
  x: tensorMap('bf16'),
  /** bf16 (depth, rows, experts), or as the kernel says. */
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
export interface ExpertPlace extends TilePlace {
  readonly count: Value<'u32'>;
}

type Params = ParamValues<HopperExpertsParams>;

/** One of the two products of experts. */
export interface ExpertProduct {
  readonly name: string;
  readonly tile: ProductTile;
  readonly columnTiles: number;
  readonly columnsOfTile: number;
  /** Whether it follows a product of the same pairs. */
  readonly isSecond: boolean;
  /** Which of the operands that follow the weights are. */
  readonly weights: 'a' | 'b';
  /** What is the rows of multiplications, and what their columns. */
  a(k: Ops, p: Params): Operand<ExpertPlace>;
  b(k: Ops, p: Params): Operand<ExpertPlace>;
  /** `row`: the first of the lane's two rows of multiplications, eight apart. */
  store(
    k: Ops,
    p: Params,
    sums: readonly Var<'f32'>[],
    place: ExpertPlace,
    row: Value<'u32'>,
  ): void;
}

/** The tiles of this CTA; neighbours in time have the pairs of an expert in common. */
function walkOf(
  k: Ops,
  p: Params,
  { columnTiles, columnsOfTile }: Pick<ExpertProduct, 'columnTiles' | 'columnsOfTile'>,
): Walk<ExpertPlace> {
  // Loads that a cache near the threads cannot answer: what it has may be older than the list.
  const fresh = { relaxed: 'gpu' } as const;
  return (visit) => {
    const to = p.numTiles.load(fresh).mul(columnTiles).named('all_tiles');
    const range = { from: k.blockIdx.x, to, step: k.gridDim.x, name: 'tile' } as const;
    k.for({ ...range, uniform: true, unroll: false }, (tile) => {
      const part = tile.div(columnTiles);
      const [batch, row, count] = [0, 1, 2].map((word) =>
        p.tiles.at(part.mul(tileWords)).at(word).load(fresh),
      ) as [Value<'u32'>, Value<'u32'>, Value<'u32'>];
      visit({ batch, row, count, column: tile.rem(columnTiles).mul(columnsOfTile) });
    });
  };
}

/**
 * A product of the pairs of experts with their weights on warp groups. Grid: CTAs that share the tiles.
 * The first product begins when the kernels ahead have ended. By then the list of tiles is there, so that the
 * second, which may begin when the first has begun, can fetch weights before the first has ended.
 */
export function buildExpertProduct(product: ExpertProduct): Kernel<HopperExpertsParams> {
  const { name, tile, isSecond, weights, a, b, store } = product;
  const options = {
    ...{ name, params, shared: productLayout(tile), minBlocksPerSm: 1 },
    block: [threadsOf(tile)] as const,
  } as const;
  return defineKernel(options, (k, p) => {
    if (!isSecond) {
      k.waitForDependencies();
      k.launchDependents();
    }
    const { depth } = p;
    const walk = walkOf(k, p, product);
    takeRoles(k, k.shared, tile, {
      produce() {
        const operands = { walk, a: a(k, p), b: b(k, p), depth };
        produce(k, k.shared, tile, {
          ...operands,
          ...(isSecond && { early: { operand: weights } }),
        });
      },
      consume(group) {
        if (isSecond) k.waitForDependencies();
        const warp = k.threadIdx.x.shr(5).and(3);
        const row = k.mad(group, 64, warp.shl(4)).add(k.laneId.shr(2));
        consume(k, k.shared, tile, { walk, depth, group }, (sums, place) =>
          k.section('store', () => store(k, p, sums, place, row)),
        );
      },
    });
  });
}
