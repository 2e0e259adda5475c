import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import {
  depthOf,
  type ProductElement,
  type ProductTile,
  rowBytes,
  stagesWithin,
} from '../../../kernel-lib/cuda/sm90/products/tile.ts';
import { tileCounts } from './counts.ts';

/** Columns of tiles; those of e4m3 have one scale for 128 of the depth. */
const columnChoices = {
  bf16: [256, 224, 192, 160, 128, 96, 64, 48, 32, 16],
  e4m3: [128, 64, 32, 16],
} as const;
const sharings = [
  { cluster: 1, shares: 'weights' },
  { cluster: 2, shares: 'weights' },
  { cluster: 2, shares: 'rows' },
  { cluster: 4, shares: 'rows' },
] as const;

/** What an SM does in a cycle: operations of multiplications, bytes from the L2 cache. */
const operationsPerCycle = { bf16: 4096, e4m3: 8192 } as const;
const l2BytesPerCycle = 36;
/** Cycles that a step of the depth takes at least, and those of a tile beside its steps. */
const leastStep = 160;
const ofTile = 1500;
/** Rows from which more of them change the tile no more. */
const manyRows = 4096;

/** Rows as the tile is chosen for: few classes, so that few kernels are compiled. */
export const rowClass = (rows: number): number =>
  Math.min(manyRows, Math.max(64, 2 ** Math.ceil(Math.log2(Math.max(1, rows)))));

/**
 * The tile that an estimate of cycles likes best: rounds of tiles times what a tile takes, which is the
 * largest of its multiplications and its bytes. Pure: the sizes of a problem decide.
 */
export function chooseTile<E extends ProductElement>(
  element: E,
  { rows, columns, depth, batch }: { rows: number; columns: number; depth: number; batch: number },
  limits: Pick<DeviceLimits, 'smCount' | 'maxSharedPerBlock'>,
): ProductTile<E> {
  const depthTile = depthOf(element);
  const wanted = rowClass(rows);
  const steps = Math.ceil(depth / depthTile);
  let best: { readonly tile: ProductTile<E>; readonly cycles: number } | undefined;
  for (const tileColumns of columnChoices[element]) {
    for (const sharing of sharings) {
      const tileRows = wanted <= 64 ? 64 : 128;
      const size = { rows: tileRows, columns: tileColumns } as const;
      const stages = stagesWithin(limits.maxSharedPerBlock, size);
      const tile: ProductTile<E> = { element, ...size, ...sharing, stages };
      const { rowTiles, columnTiles } = tileCounts(tile, wanted, columns);
      const clusters = Math.max(1, Math.floor(limits.smCount / tile.cluster));
      const rounds = Math.ceil((rowTiles * columnTiles * batch) / clusters);
      const ofRows = tileRows / (tile.shares === 'rows' ? tile.cluster : 1);
      const ofColumns = tileColumns / (tile.shares === 'weights' ? tile.cluster : 1);
      const step = Math.max(
        leastStep,
        (2 * tileRows * tileColumns * depthTile) / operationsPerCycle[element],
        ((ofRows + ofColumns) * rowBytes) / l2BytesPerCycle,
      );
      const cycles = rounds * (steps * step + ofTile + tileColumns * 4);
      if (best === undefined || cycles < best.cycles * 0.999) best = { tile, cycles };
    }
  }
  if (best === undefined) throw new Error('there are tiles to choose from');
  return best.tile;
}
