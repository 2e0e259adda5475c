import { field, type SharedAccess, sharedLayout } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { DecodeGeometry } from '../../../../kernel-lib/cuda/sm90/geometry.ts';
import { consumers, groupWarps, queryWarps, tileTokens } from '../dense/tile.ts';

/** Key blocks on their way or in use. */
export const stages = 2;
/** Query rows of a CTA: columns of its multiplications. */
export const fewRows = 16;
/** Parts of a key block that are released by themselves: two that hold values, and the rest. */
export type PartName = 'front' | 'back' | 'rest';

export interface KeyPart {
  readonly name: PartName;
  /** Tiles that arrive together. */
  readonly arrivals: readonly number[];
}

/** How the parts of a key block lie in its tiles of 64 columns. */
export interface KeyParts {
  readonly geometry: DecodeGeometry;
  /** Where parts begin. The rest is no value. */
  readonly firstTile: Readonly<Record<PartName, number>>;
  /** In the order in which they are fetched and multiplied. */
  readonly list: readonly KeyPart[];
  /** Tiles that a consumer multiplies of each part of V. */
  readonly ownTiles: number;
}

export function keyPartsOf(geometry: DecodeGeometry): KeyParts {
  const { chunks, ownChunks, ownValueTiles, valueTiles } = geometry;
  const arrivals = chunks.slice(0, ownChunks).map(({ tiles }) => tiles);
  return {
    geometry,
    firstTile: { front: 0, back: ownValueTiles, rest: valueTiles },
    list: [
      { name: 'front', arrivals },
      { name: 'rest', arrivals: chunks.slice(2 * ownChunks).map(({ tiles }) => tiles) },
      { name: 'back', arrivals },
    ],
    ownTiles: ownValueTiles / 2,
  };
}

/** Shared memory of a CTA. */
export const fewRowsLayout = (element: Element, { headDimQk, ownChunks }: DecodeGeometry) => {
  const tiles = { swizzle: '128B', arrangement: 'tiles' } as const;
  return sharedLayout({
    keys: field(element, [stages, tileTokens, headDimQk], tiles),
    query: field(element, [fewRows, headDimQk], tiles),
    /** Of two blocks in turn: one is written while a consumer's slower warps still multiply the other. */
    weights: field(element, [2, consumers, fewRows, tileTokens], { swizzle: '128B' }),
    /** Of each warp of a consumer: largest scores, or sums of weights. */
    partial: field('f32', [consumers, fewRows, groupWarps]),
    /** Of two pieces: flags and a slot, see `../dense/target.ts`. */
    targets: field('u32', [2, 2]),
    /** See `../dense/missing-pages.ts`. */
    missing: field('u32', [queryWarps]),
    frontFull: field('b64', [stages, ownChunks]),
    backFull: field('b64', [stages, ownChunks]),
    restFull: field('b64', [stages, 1]),
    frontEmpty: field('b64', [stages]),
    backEmpty: field('b64', [stages]),
    restEmpty: field('b64', [stages]),
    queryFull: field('b64', [1]),
    queryEmpty: field('b64', [1]),
    targetFull: field('b64', [1]),
  });
};

export type FewRowsShared = SharedAccess<ReturnType<typeof fewRowsLayout>['decls']>;
