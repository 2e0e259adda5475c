import type { Ops, Value } from '@flash-mla/ptx';
import type {
  ProductElement,
  ProductTile,
  TilePlace,
  Walk,
} from '../../../kernel-lib/cuda/sm90/products/tile.ts';

/** Tiles of rows that are computed at about the same time, against each tile of columns. */
const band = 8;

/** Sizes that a walk over the tiles depends on. */
export interface WalkSizes {
  /** Of clusters: see `tileCounts`. */
  readonly rowTiles: Value<'u32'>;
  readonly columnTiles: Value<'u32'>;
}

/**
 * The tiles of this CTA: those of its cluster, which takes every n-th. Tiles run down bands of
 * rows, so that what clusters compute at a time has few rows of both operands.
 */
export function walkOf(
  k: Ops,
  { rows, columns, cluster, shares }: ProductTile<ProductElement>,
  { rowTiles, columnTiles }: WalkSizes,
): Walk<TilePlace> {
  const rank = cluster > 1 ? k.clusterCtaRank : undefined;
  const from = cluster > 1 ? k.blockIdx.x.div(cluster) : k.blockIdx.x;
  const step = cluster > 1 ? k.gridDim.x.div(cluster) : k.gridDim.x;
  const to = rowTiles.mul(columnTiles);
  const perBand = columnTiles.mul(band);
  return (visit) =>
    k.for({ from, to, step, name: 'tile', uniform: true, unroll: false }, (tile) => {
      const index = tile.div(perBand);
      const firstTile = index.mul(band);
      const height = rowTiles.sub(firstTile).min(band);
      const within = tile.sub(index.mul(perBand));
      const column = within.div(height);
      const row = firstTile.add(within.sub(column.mul(height)));
      const ofCta = (of: Value<'u32'>, size: number, isSpread: boolean) =>
        rank && isSpread ? k.mad(of, cluster, rank).mul(size) : of.mul(size);
      visit({
        row: ofCta(row, rows, shares === 'weights').named('row'),
        column: ofCta(column, columns, shares === 'rows').named('column'),
        batch: k.blockIdx.y,
      });
    });
}
