import { field, type SharedAccess, sharedLayout } from '@flash-mla/ptx';
import {
  consumers,
  headDimQk,
  keyParts,
  releasedParts,
  tileColumns,
  tileRows,
  tileTokens,
  valueTiles,
} from '../dense/tile.ts';

/**
 * Registers of a thread after roles are known. The three warp groups start with 168 each, and no more
 * can be given out: 72 + 2 · 216 = 3 · 168. Eight more for the producer hang the second consumer.
 */
export const producerRegisters = 72;
export const consumerRegisters = 216;

/** Tokens of a block that one of the producer's four warps gathers. */
export const warpTokens = 16;
/** Lanes that share a token, and so tokens that a warp reads at once. */
export const tokenLanes = 8;
export const tokensAtOnce = 32 / tokenLanes;
/** Tokens that a lane has a share of. */
export const laneTokens = warpTokens / tokensAtOnce;

export type SparseLayout = 'v32' | 'model1' | 'bf16';

/** v32: a row has 512 e4m3, 4 scales (f32) and 64 rope values (bf16). */
export const v32ScaleOffset = 512;
/** model1: 448 e4m3 and 64 rope values, which are also values of V; 8 scales (e8m0) elsewhere. */
export const model1RowBytes = 576;
/** Bytes that lie together, and where rope values begin. */
export const loadedBytes = (layout: SparseLayout) =>
  ({ v32: 656, model1: model1RowBytes, bf16: 2 * headDimQk })[layout];
export const ropeOffset = (layout: SparseLayout) => (layout === 'v32' ? 528 : 448);
/** model1: the part whose second half are the rope values. */
export const model1RopePart = 3;

/** Parts of a row that are converted by themselves: 128 columns, 16 bytes a lane. */
export const valueParts = 4;
export const partBytes = 128;
export const ropePart = 4;
/**
 * The first parts of a block are loaded into registers a block ahead; the others are copied, as they are,
 * to where they will be converted, once there is room.
 */
export const partsInRegisters = 2;
export const isStaged = (part: number) => part >= partsInRegisters;
/** Two tiles of keys that a part becomes. */
export const partTiles = 2;

/** Hardware barriers beside those of `../dense/tile.ts`. */
export const producerBarrier = 2;

/** Elements in which keys are multiplied: `narrow`, where their scales allow it, or as wide as f32. */
const single = { ropeElement: 'bf16', clusterSize: 1, registerTiles: 0 } as const;
export const narrow = { element: 'f16', ...single } as const;
export const wide = { element: 'bf16', ...single } as const;

/** Tiles of keys, which are also those of values in model1. */
export const keyTilesOf = (layout: SparseLayout) =>
  layout === 'model1' ? valueTiles : valueTiles + 1;

/** Shared memory of a CTA: what `../dense/tile.ts` describes, and which tokens of each stage there are. */
export const sparseLayout = sharedLayout({
  weights: field('f16', [tileRows, tileColumns], { swizzle: '128B' }),
  query: field('f16', [tileRows, headDimQk], { swizzle: '128B', arrangement: 'tiles' }),
  keys: field('f16', [consumers, tileTokens, headDimQk], {
    swizzle: '128B',
    arrangement: 'tiles',
  }),
  references: field('f32', [consumers, tileRows]),
  sums: field('f32', [consumers, tileRows, 2]),
  targets: field('u32', [2, 2]),
  /** A bit for each token of a stage: whether it is there. */
  present: field('u16', [consumers, tileTokens / warpTokens]),
  /** Scales of the parts of a block that are copied as they are. */
  stagedScales: field('b32', [tileTokens, valueParts - partsInRegisters]),
  full: field('b64', [consumers * (keyParts.length + 1)]),
  empty: field('b64', [consumers * releasedParts]),
  /** Whether queries of the pass do not fit into f16, see `narrow-queries.ts`. */
  queryMisfits: field('u32', [1]),
  queryFull: field('b64', [1]),
  queryJudged: field('b64', [1]),
  queryEmpty: field('b64', [1]),
  targetFull: field('b64', [1]),
  sumsFull: field('b64', [consumers]),
});

export type SparseShared = SharedAccess<(typeof sparseLayout)['decls']>;

/**
 * Where the tiles hold a value's 8 columns: of the 16 that a lane converts, the first 8 go to the first
 * tile of its part and the others to the second, so that eight lanes store to all banks.
 */
export function blockOf(block: number): number {
  return (block & ~15) | ((block & 1) << 3) | ((block & 15) >> 1);
}
