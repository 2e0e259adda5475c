import {
  field,
  type SharedAccess,
  type SharedLayout,
  sharedLayout,
  struct,
  union,
} from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { MlaTile } from '../mla/tile.ts';

/** How one CTA cuts attention with keys and values of their own: plain data. */
export interface MhaTile {
  readonly element: Element;
  /** Multiples of 8. */
  readonly headDimQk: number;
  readonly headDimV: number;
  readonly warps: 4 | 8;
  /** Groups of 16 query rows of a warp: what it reads of keys and values serves all of them. */
  readonly rowTiles: 1 | 2;
  /** Tokens of a step. */
  readonly tokens: 32 | 64;
  /** Whether query fragments live in registers or are read from shared memory in every step. */
  readonly query: 'registers' | 'shared';
}

/** Key and value tiles in shared memory: one is used while the other is on its way. */
export const mhaStages = 2;

const ceilTo = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

/** What a tile implies. */
export function mhaShape({ warps, rowTiles, headDimQk, headDimV }: MhaTile) {
  return {
    threads: warps * 32,
    /** Query rows of the CTA and of a warp. */
    rows: warps * rowTiles * 16,
    rowsPerWarp: rowTiles * 16,
    /** Depth of q·k and columns of V as multiplied: beyond the head dimensions are zeros. */
    depth: ceilTo(headDimQk, 16),
    columns: ceilTo(headDimV, 16),
    /** Columns of rows in shared memory: whole 128-byte segments. */
    widthQk: ceilTo(headDimQk, 64),
    widthV: ceilTo(headDimV, 64),
  };
}

/** The shared memory of a CTA whose tokens are those of `pages`. */
export function mhaShared(tile: MhaTile, pages: MlaTile['pages']) {
  const { element, tokens, query } = tile;
  const { rows, widthQk, widthV } = mhaShape(tile);
  const swizzle = '128B';
  return sharedLayout({
    query: field(element, [query === 'shared' ? rows : 0, widthQk], { swizzle }),
    tiles: union({
      /** Queries on their way to registers, before the first keys arrive. */
      passing: field(element, [query === 'registers' ? rows : 0, widthQk], { swizzle }),
      stages: struct({
        keys: field(element, [mhaStages, tokens, widthQk], { swizzle }),
        values: field(element, [mhaStages, tokens, widthV], { swizzle }),
      }),
    }),
    /** See `../mla/page-table.ts`. */
    missing: field('u32', [pages === 'none' ? 0 : mhaStages, pages === 'scattered' ? tokens : 1]),
    someMissing: field('u32', [pages === 'scattered' ? 1 : 0]),
  });
}

export type MhaSharedLayout = ReturnType<typeof mhaShared>;
export type MhaShared = SharedAccess<DeclsOf<MhaSharedLayout>>;
type DeclsOf<L> = L extends SharedLayout<infer D> ? D : never;
