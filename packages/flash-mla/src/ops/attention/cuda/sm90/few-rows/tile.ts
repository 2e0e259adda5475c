import { field, type SharedAccess, sharedLayout } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { consumers, groupWarps, headDimQk, queryWarps, tileTokens } from '../dense/tile.ts';

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

/** Where parts begin: their first tiles of 64 columns. The rest is no value. */
export const firstTile: Readonly<Record<PartName, number>> = { front: 0, back: 4, rest: 8 };

/** In the order in which they are fetched and multiplied. */
export const keyParts: readonly KeyPart[] = [
  { name: 'front', arrivals: [2, 2] },
  { name: 'rest', arrivals: [1] },
  { name: 'back', arrivals: [2, 2] },
];

/** Shared memory of a CTA. */
export const fewRowsLayout = (element: Element) => {
  const tiles = { swizzle: '128B', arrangement: 'tiles' } as const;
  return sharedLayout({
    keys: field(element, [stages, tileTokens, headDimQk], tiles),
    query: field(element, [fewRows, headDimQk], tiles),
    /** Of two blocks in turn: one is written while a consumer's slower warps still multiply the other. */
    weights: field(element, [2, consumers, fewRows, tileTokens], { swizzle: '128B' }),
    /** What each warp of a consumer found: largest scores, or sums of weights. */
    found: field('f32', [consumers, fewRows, groupWarps]),
    /** Of two pieces: flags and a slot, see `../dense/target.ts`. */
    targets: field('u32', [2, 2]),
    /** See `../dense/missing-pages.ts`. */
    missing: field('u32', [queryWarps]),
    frontFull: field('b64', [stages, 2]),
    backFull: field('b64', [stages, 2]),
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
