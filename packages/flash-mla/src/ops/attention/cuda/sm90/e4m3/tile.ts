import { field, type SharedAccess, sharedLayout } from '@flash-mla/ptx';
import { consumers, consumerWarps, headDimQk, queryWarps, tileTokens } from '../dense/tile.ts';

/** Columns of a swizzled tile of e4m3: 128 bytes. */
export const tileColumns = 128;
/** Tiles of a key row. The last is half empty: 576 = 4.5 · 128. */
export const keyTiles = Math.ceil(headDimQk / tileColumns);
/** Bytes of a tile of 64 tokens. */
export const tileBytes = tileTokens * tileColumns;
export const stageBytes = keyTiles * tileBytes;
/** Registers of a thread after roles are known: 128 · 56 + 256 · 224 = 384 · 168. */
export const producerRegisters = 56;
export const consumerRegisters = 224;
/** Columns of q and k, and tokens, whose operands are converted together: four multiplications. */
export const setDepth = 64;
/** Depth of a multiplication. */
export const stepDepth = 16;
export const stepsPerSet = setDepth / stepDepth;

/** What the code of the kernel depends on, beside types of results. */
export interface E4m3Tile {
  /** Query rows of a CTA: columns of its multiplications. */
  readonly rows: 16 | 32;
  /** Key blocks on their way or in use. */
  readonly stages: number;
  /** Sets of 16 registers that operands are converted into, in turn. */
  readonly operandSets: 4 | 8;
  /** Sets whose loads are under way while one is converted. */
  readonly loadsAhead: number;
}

/** Shared memory of a CTA. */
export const e4m3Layout = ({ rows, stages }: E4m3Tile) => {
  const tiles = { swizzle: '128B', arrangement: 'tiles' } as const;
  return sharedLayout({
    keys: field('e4m3', [stages, tileTokens, keyTiles * tileColumns], tiles),
    /** In each 16 columns in the order of `key-fragments.ts`. */
    query: field('f16', [rows, headDimQk], tiles),
    /** Of two pairs of blocks, in turn: one is written while a consumer still multiplies the other. */
    weights: field('f16', [2, consumers, rows, tileTokens], { swizzle: '128B' }),
    /** Of each warp: largest scores, or sums of weights. */
    partial: field('f32', [rows, consumerWarps]),
    /** Of two pieces: flags and a slot, see `../dense/target.ts`. */
    targets: field('u32', [2, 2]),
    /** See `../dense/missing-pages.ts`. */
    missing: field('u32', [queryWarps]),
    full: field('b64', [stages]),
    empty: field('b64', [stages]),
    queryFull: field('b64', [1]),
    queryEmpty: field('b64', [1]),
    targetFull: field('b64', [1]),
  });
};

export type E4m3Shared = SharedAccess<ReturnType<typeof e4m3Layout>['decls']>;

/** The tile for so many rows that share a KV head; undefined: too many for one. */
export function chooseE4m3Tile(rows: number): E4m3Tile | undefined {
  if (rows <= 16) return { rows: 16, stages: 5, operandSets: 4, loadsAhead: 1 };
  return rows <= 32 ? { rows: 32, stages: 4, operandSets: 4, loadsAhead: 1 } : undefined;
}
