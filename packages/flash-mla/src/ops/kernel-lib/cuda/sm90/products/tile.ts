import { field, type SharedAccess, type Value } from '@flash-mla/ptx';

/** Columns of a tile's operands in shared memory: 128 bytes of bf16. */
export const depthTile = 64;
/** Threads of a warp group, which multiplies 64 rows. */
export const groupThreads = 128;
const groupRows = 64;

/** How a product is cut into tiles, and how tiles share operands. */
export interface ProductTile {
  /** 64 or 128: each 64 are a warp group's. */
  readonly rows: number;
  /** A multiple of 16, at most 256. */
  readonly columns: number;
  /** CTAs of a cluster: neighbours along the rows share weights, neighbours along the columns rows of x. */
  readonly cluster: 1 | 2 | 4;
  readonly shares: 'weights' | 'rows';
  readonly stages: number;
}

export const consumersOf = ({ rows }: Pick<ProductTile, 'rows'>) => rows / groupRows;

/** Bytes of a stage of both operands. */
export const stageBytes = ({ rows, columns }: Pick<ProductTile, 'rows' | 'columns'>) =>
  (rows + columns) * depthTile * 2;

const mostStages = 10;
/** Barriers and alignment. */
const spare = 2048;

/** As many stages as fit into so many bytes. */
export function stagesWithin(bytes: number, tile: Pick<ProductTile, 'rows' | 'columns'>): number {
  return Math.min(mostStages, Math.floor((bytes - spare) / stageBytes(tile)));
}

export function productLayout({ rows, columns, stages }: ProductTile) {
  const swizzled = { swizzle: '128B', arrangement: 'tiles' } as const;
  return {
    a: field('bf16', [stages, rows, depthTile], swizzled),
    b: field('bf16', [stages, columns, depthTile], swizzled),
    full: field('b64', [stages]),
    empty: field('b64', [stages]),
  } as const;
}

export type ProductShared = SharedAccess<ReturnType<typeof productLayout>>;

/** Where a tile is: coordinates of its first row of x, of its first column, and of its matrices. */
export interface TilePlace {
  readonly row: Value<'u32'>;
  readonly column: Value<'u32'>;
  readonly batch: Value<'u32'>;
}

/** Visits the tiles of this CTA, one after another: by producer and consumers alike. */
export type Walk<P extends TilePlace> = (visit: (place: P) => void) => void;
