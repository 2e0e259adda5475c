import { field, type SharedAccess, sharedLayout } from '@flash-mla/ptx';
import {
  consumers,
  headDimQk,
  keyParts,
  releasedParts,
  tileColumns,
  tileRows,
  tileTokens,
} from '../dense/tile.ts';

/** Registers of a thread after roles are known: 72 + 2 · 216 = 3 · 168, which they start with. */
export const producerRegisters = 72;
export const consumerRegisters = 216;

/** Warps of the producer that fill a stage; the others fill the other one. */
export const stageWarps = 2;
/** Tokens of a block that one of them gathers. */
export const warpTokens = tileTokens / stageWarps;
/** Lanes that share a token, and so tokens that a warp copies from at once. */
export const tokenLanes = 8;
export const tokensAtOnce = 32 / tokenLanes;

/** Words that say which tokens of a stage are there, as `sparse/hide.ts` reads them. */
const presentWords = 4;

/** Shared memory of a CTA: what `dense/tile.ts` describes, and which tokens of each stage there are. */
export const prefillLayout = sharedLayout({
  weights: field('bf16', [tileRows, tileColumns], { swizzle: '128B' }),
  query: field('bf16', [tileRows, headDimQk], { swizzle: '128B', arrangement: 'tiles' }),
  keys: field('bf16', [consumers, tileTokens, headDimQk], {
    swizzle: '128B',
    arrangement: 'tiles',
  }),
  references: field('f32', [consumers, tileRows]),
  /** Of a row's weights, and its largest score. */
  sums: field('f32', [consumers, tileRows, 2]),
  present: field('u16', [consumers, presentWords]),
  full: field('b64', [consumers * (keyParts.length + 1)]),
  empty: field('b64', [consumers * releasedParts]),
  queryFull: field('b64', [1]),
  queryEmpty: field('b64', [1]),
  sumsFull: field('b64', [consumers]),
});

export type PrefillShared = SharedAccess<(typeof prefillLayout)['decls']>;
