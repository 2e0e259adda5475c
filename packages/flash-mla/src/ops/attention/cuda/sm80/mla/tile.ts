import type { Element } from '../../../../kernel-lib/cuda/element.ts';

/** Threads and warps of every attention CTA of this folder. */
export const ctaWarps = 8;
export const ctaThreads = ctaWarps * 32;

/** How one CTA cuts the attention of one KV head: plain data, everything else derives from it. */
export interface MlaTile {
  readonly element: Element;
  /** Columns of q and of a key row, a multiple of 16. */
  readonly headDimQk: number;
  /** V is the first so many columns of a key row, a multiple of 16. */
  readonly headDimV: number;
  /** Query rows of the CTA. */
  readonly rows: 16 | 32 | 64;
  /** Tokens of one step. A schedule's block of 64 tokens is one step or several. */
  readonly tokens: 32 | 64;
  /** Key tiles in shared memory: one is used while the others are on their way. */
  readonly stages: number;
  /** 16-byte slots per thread in which packed rows wait to be decoded; 0: rows need no decoding. */
  readonly packedSlots: number;
  /** Whether key rows stay e4m3 in shared memory and are decoded on their way into fragments. */
  readonly rawKeys: boolean;
  /** Whether tokens are picked one by one, so that any of them may be missing. */
  readonly gathered: boolean;
  /** Whether tokens are those of pages: the tokens of a step of one or, `scattered`, of several. */
  readonly pages: 'none' | 'one' | 'scattered';
  /**
   * Multiplications of depth 16 whose query fragments stay in shared memory; those of the others stay in
   * registers. 64 rows: all.
   */
  readonly sharedQuerySteps: number;
  /**
   * Raw keys: warps that share the depth of q·k of some tokens. Two need half the query fragments each, and
   * exchange their sums.
   */
  readonly depthParts: 1 | 2;
  /**
   * Raw keys: steps of 16 tokens, the last of a tile, whose values are multiplied during the softmax of the
   * next tile. Some need three stages.
   */
  readonly lateValueSteps: number;
  /** Raw keys: loads of fragments under way while earlier ones are decoded and multiplied. */
  readonly loadsAhead: number;
  /** 64 rows: rounds in which warps exchange scores; two need half the shared memory of one. */
  readonly exchangeRounds: 1 | 2;
}

/** What a tile implies. */
export interface TileShape {
  /** Columns of a key row in shared memory, which cover q·k and V: whole 128-byte segments, or raw chunks. */
  readonly width: number;
  /** Columns of V that a warp accumulates, a multiple of 16. */
  readonly columnsPerWarp: number;
  /** Groups of 16 query rows. */
  readonly rowTiles: number;
  /** Warps that share a row tile in the softmax: each takes `tokensPerWarp` of its columns. */
  readonly groups: number;
  readonly tokensPerWarp: number;
  /**
   * Whether two warps halve the depth of q·k between them. 64 rows of q do not fit into registers
   * beside their outputs; reading them from shared memory costs least in blocks of 32 × 32, of which
   * there are only four.
   */
  readonly splitsDepth: boolean;
  /** Multiplications of depth 16 in q·k. */
  readonly depthSteps: number;
  /** Columns of the query rows that stay in shared memory as rows: whole segments. */
  readonly queryWidth: number;
}

const ceilTo = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

export function tileShape(tile: MlaTile): TileShape {
  const paddedV = ceilTo(tile.headDimV, 16 * ctaWarps);
  const rowTiles = tile.rows / 16;
  const groups = ctaWarps / rowTiles;
  return {
    width: Math.max(tile.rawKeys ? tile.headDimQk : ceilTo(tile.headDimQk, 64), paddedV),
    columnsPerWarp: paddedV / ctaWarps,
    rowTiles,
    groups,
    tokensPerWarp: tile.tokens / groups,
    splitsDepth: tile.rows === 64,
    depthSteps: tile.headDimQk / 16,
    queryWidth: tile.rawKeys ? 0 : ceilTo(tile.sharedQuerySteps * 16, 64),
  };
}
