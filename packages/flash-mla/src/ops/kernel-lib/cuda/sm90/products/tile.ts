import { field, type SharedAccess, type Value } from '@flash-mla/ptx';

/** What is multiplied. */
export type ProductElement = 'bf16' | 'e4m3';

/** Bytes of a row of an operand in a stage. */
export const rowBytes = 128;
/** Elements of the depth in a stage. */
export const depthOf = (element: ProductElement): number => rowBytes / (element === 'bf16' ? 2 : 1);
/** Threads of a warp group, which multiplies 64 rows. */
export const groupThreads = 128;
const groupRows = 64;

/** How a product is cut into tiles, and how tiles share operands. */
export interface ProductTile<E extends ProductElement = 'bf16'> {
  readonly element: E;
  /** 64 or 128: each 64 are a warp group's. */
  readonly rows: number;
  /** A multiple of 16, at most 256. */
  readonly columns: number;
  /** CTAs of a cluster: neighbours along the rows share weights, neighbours along the columns rows of x. */
  readonly cluster: 1 | 2 | 4;
  readonly shares: 'weights' | 'rows';
  readonly stages: number;
}

type Extent = Pick<ProductTile, 'rows' | 'columns'>;

export const consumersOf = ({ rows }: Pick<ProductTile, 'rows'>) => rows / groupRows;

/** Bytes of a stage of both operands. */
export const stageBytes = ({ rows, columns }: Extent): number => (rows + columns) * rowBytes;

const mostStages = 10;
/** Barriers and alignment. */
const spare = 2048;

/** As many stages as fit into so many bytes. */
export function stagesWithin(bytes: number, tile: Extent): number {
  return Math.min(mostStages, Math.floor((bytes - spare) / stageBytes(tile)));
}

export function productLayout<E extends ProductElement>(tile: ProductTile<E>) {
  const { element, rows, columns, stages } = tile;
  const depth = depthOf(element);
  const swizzled = { swizzle: '128B', arrangement: 'tiles' } as const;
  return {
    a: field(element, [stages, rows, depth], swizzled),
    b: field(element, [stages, columns, depth], swizzled),
    full: field('b64', [stages]),
    empty: field('b64', [stages]),
  } as const;
}

export type ProductShared<E extends ProductElement = 'bf16'> = SharedAccess<
  ReturnType<typeof productLayout<E>>
>;

/** Where a tile is: coordinates of its first row of x, of its first column, and of its matrices. */
export interface TilePlace {
  readonly row: Value<'u32'>;
  readonly column: Value<'u32'>;
  readonly batch: Value<'u32'>;
}

/** Visits the tiles of this CTA, one after another: by producer and consumers alike. */
export type Walk<P extends TilePlace> = (visit: (place: P) => void) => void;
