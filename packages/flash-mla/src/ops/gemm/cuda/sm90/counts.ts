import type { ProductElement, ProductTile } from '../../../kernel-lib/cuda/sm90/products/tile.ts';

/** Tiles of a product: those of a cluster count as one. */
export function tileCounts(tile: ProductTile<ProductElement>, rows: number, columns: number) {
  const sharesWeights = tile.shares === 'weights';
  const ofCluster = {
    rows: tile.rows * (sharesWeights ? tile.cluster : 1),
    columns: tile.columns * (sharesWeights ? 1 : tile.cluster),
  };
  return {
    rowTiles: Math.ceil(rows / ofCluster.rows),
    columnTiles: Math.ceil(columns / ofCluster.columns),
  };
}
