import { field, type SharedAccess, sharedLayout } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { type DecodeGeometry, decodeGeometry } from '../../../../kernel-lib/cuda/sm90/geometry.ts';

/** Query rows of a CTA: what a warp group's multiplication takes. */
export const tileRows = 64;
/** Tokens of a step: a schedule's block. */
export const tileTokens = 64;
/** DeepSeek's head dimensions, which the launchers accept. */
export const mlaGeometry = decodeGeometry({ headDimQk: 576, headDimV: 512 });
export const { headDimQk, headDimV, keyTiles, valueTiles, ownValueTiles } = mlaGeometry;

/** Columns of a swizzled tile: 128 bytes. */
export const tileColumns = 64;
/** Multiplications of depth 16 in a tile, and how far apart they begin: in columns, and in bytes by tokens. */
export const stepsPerTile = 4;
export const stepColumns = 16;
export const tokenStepBytes = 16 * 128;
/** Bytes of a tile of 64 rows. */
export const tileBytes = tileRows * tileColumns * 2;

export const warpGroupThreads = 128;
export const consumers = 2;
/** Warps of a warp group, and of both consumers. */
export const groupWarps = 4;
export const consumerWarps = 8;
export const ctaThreads = (consumers + 1) * warpGroupThreads;
/** Threads that fetch queries: the producer's warps but the one that fetches keys. */
export const queryThreads = warpGroupThreads - 32;
export const queryWarps = queryThreads / 32;
/** Registers of a thread after roles are known; they start with 168. */
export const producerRegisters = 24;
export const consumerRegisters = 240;

/** Parts of a key block that are released, and that arrive, by themselves. */
export const { releasedParts, chunks: keyParts } = mlaGeometry;

/** Hardware barriers; 0 is the CTA's. */
export const barrierId = {
  /** Both consumers. */
  consumers: 1,
  /** The warps of consumer 0 and 1. */
  group: 4,
} as const;

/** What the code of the kernel depends on, beside types of results. */
export interface HopperTile {
  readonly element: Element;
  /** CTAs that share the keys they load: neighbours in the rows. */
  readonly clusterSize: 1 | 2;
  readonly geometry: DecodeGeometry;
  /** Fetches keys into the second-level cache before there is room for them. */
  readonly prefetches: boolean;
}

/** Shared memory of a CTA. */
export const hopperLayout = (
  element: Element,
  { headDimQk, chunks, releasedParts }: DecodeGeometry = mlaGeometry,
) =>
  sharedLayout({
    /** Weights of consumer 1; those of consumer 0 come behind them, in the first tile of the query. */
    weights: field(element, [tileRows, tileColumns], { swizzle: '128B' }),
    query: field(element, [tileRows, headDimQk], { swizzle: '128B', arrangement: 'tiles' }),
    keys: field(element, [consumers, tileTokens, headDimQk], {
      swizzle: '128B',
      arrangement: 'tiles',
    }),
    /** What each consumer's weights are relative to; its sums of them and its largest outputs. */
    references: field('f32', [consumers, tileRows]),
    sums: field('f32', [consumers, tileRows, 2]),
    /** Of two pieces: flags and a slot, see `target.ts`. */
    targets: field('u32', [2, 2]),
    /** See `missing-pages.ts`. */
    missing: field('u32', [queryWarps]),
    length: field('u32', [1]),
    /** Of the parts of a key block, and of a consumer's weights. */
    full: field('b64', [consumers * (chunks.length + 1)]),
    empty: field('b64', [consumers * releasedParts]),
    queryFull: field('b64', [1]),
    queryEmpty: field('b64', [1]),
    targetFull: field('b64', [1]),
    sumsFull: field('b64', [consumers]),
  });

export type HopperShared = SharedAccess<ReturnType<typeof hopperLayout>['decls']>;
