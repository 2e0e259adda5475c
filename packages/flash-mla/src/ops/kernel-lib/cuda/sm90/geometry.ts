import { tileBytesOf, tileColumnsOf } from './swizzled-tile.ts';

/** Columns of a key, and of a value: its first ones. */
export interface HeadDims {
  readonly headDimQk: number;
  readonly headDimV: number;
}

/** Tiles of a block of keys that arrive together. */
export interface KeyChunk {
  readonly tiles: number;
  readonly first: number;
  /** Which part of the block they are released with: 0 and 1, each consumer's half of V; 2, the rest. */
  readonly released: 0 | 1 | 2;
}

/** How a CTA of two consumers lays out blocks of keys whose first columns are the values. */
export interface DecodeGeometry extends HeadDims {
  /** Query rows of a CTA: what a warp group's multiplication takes. */
  readonly tileRows: number;
  /** Tokens of a block. */
  readonly tileTokens: number;
  /** Columns of a swizzled tile, and bytes of one of {@link tileTokens} rows. */
  readonly tileColumns: number;
  readonly tileBytes: number;
  /** Tiles of a key and of a value, and of V those of one consumer. */
  readonly keyTiles: number;
  readonly valueTiles: number;
  readonly ownValueTiles: number;
  /** In the order in which they arrive. */
  readonly chunks: readonly KeyChunk[];
  /** How many of them hold a consumer's half of V. */
  readonly ownChunks: number;
  /** Parts of a block that are released by themselves. */
  readonly releasedParts: number;
}

/** Tiles of V that arrive together. */
const chunkTiles = 2;

/**
 * The geometry of 16-bit keys. Each consumer's half of V is whole chunks, a power of two of them, and
 * behind V there is at most one tile: throws for head dimensions for which that is not so.
 */
export function decodeGeometry({ headDimQk, headDimV }: HeadDims): DecodeGeometry {
  const [tileRows, tileTokens] = [64, 64];
  const tileColumns = tileColumnsOf(2);
  const [keyTiles, valueTiles] = [headDimQk / tileColumns, headDimV / tileColumns];
  const ownValueTiles = valueTiles / 2;
  const ownChunks = ownValueTiles / chunkTiles;
  const rest = keyTiles - valueTiles;
  if (ownChunks < 1 || !Number.isInteger(Math.log2(ownChunks)) || (rest !== 0 && rest !== 1)) {
    throw new RangeError(
      `no decode geometry for head dimensions ${headDimQk} and ${headDimV}: V is 256 columns times a power of two, and keys have ${tileColumns} more or as many`,
    );
  }
  const ofValues = Array.from({ length: 2 * ownChunks }, (_, i) => ({
    tiles: chunkTiles,
    first: chunkTiles * i,
    released: i < ownChunks ? (0 as const) : (1 as const),
  }));
  const chunks = [...ofValues, { tiles: 1, first: valueTiles, released: 2 as const }];
  return Object.freeze({
    ...{ headDimQk, headDimV, tileRows, tileTokens, tileColumns, keyTiles, valueTiles },
    ...{ ownValueTiles, ownChunks },
    tileBytes: tileBytesOf(tileTokens),
    chunks: rest === 1 ? chunks : ofValues,
    releasedParts: rest === 1 ? 3 : 2,
  });
}
