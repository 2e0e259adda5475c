import type { DeviceLimits } from '../../../../../runtime/cuda/limits.ts';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { blockTokens } from '../../pieces.ts';
import { isScattered, pagesOf } from './page-table.ts';
import { mlaShared } from './shared.ts';
import { ctaThreads, type MlaTile } from './tile.ts';

/** What decides a tile. */
export interface TileProblem {
  readonly element: Element;
  readonly headDimQk: number;
  readonly headDimV: number;
  /** Query rows that share key rows. */
  readonly rows: number;
  readonly gathered: boolean;
  /** Tokens of a page; absent: no pages. */
  readonly pageSize?: number;
  /** Whether key rows are e4m3 that may stay so in shared memory, for few query rows. */
  readonly rawKeys?: boolean;
  /** 16-byte slots per thread for packed rows, given the threads that share a row; 0 for others. */
  packedSlots(threadsPerRow: number): number;
}

type Candidate = Pick<MlaTile, 'rows' | 'tokens' | 'stages' | 'exchangeRounds'>;

type RawKeys = Pick<MlaTile, 'rawKeys' | 'depthParts' | 'lateValueSteps' | 'loadsAhead'>;

/**
 * Tiles in the order of preference: as many rows as are needed, so that keys are read once; then steps
 * of 64 tokens, then more stages. The last fits 99 KB for every head dimension.
 */
const candidates: readonly Candidate[] = [
  { rows: 16, tokens: 64, stages: 3, exchangeRounds: 1 },
  { rows: 16, tokens: 64, stages: 2, exchangeRounds: 1 },
  { rows: 64, tokens: 64, stages: 2, exchangeRounds: 1 },
  { rows: 64, tokens: 64, stages: 2, exchangeRounds: 2 },
  { rows: 64, tokens: 32, stages: 3, exchangeRounds: 1 },
  { rows: 64, tokens: 32, stages: 2, exchangeRounds: 1 },
  { rows: 64, tokens: 32, stages: 2, exchangeRounds: 2 },
  { rows: 32, tokens: 64, stages: 3, exchangeRounds: 1 },
  { rows: 32, tokens: 64, stages: 2, exchangeRounds: 1 },
  { rows: 32, tokens: 32, stages: 3, exchangeRounds: 1 },
  { rows: 32, tokens: 32, stages: 2, exchangeRounds: 1 },
];

/** Tiles of raw keys: their rows are short, so that many are on their way at once. */
const rawCandidates: readonly Candidate[] = [4, 3, 2].map((stages) => {
  return { rows: 16, tokens: 64, stages, exchangeRounds: 1 };
});

const noRawKeys: RawKeys = { rawKeys: false, depthParts: 1, lateValueSteps: 0, loadsAhead: 0 };

/** Half the depth for each of two warps: their query fragments leave registers for loads ahead. */
function halvedDepth({ stages }: Candidate): RawKeys {
  return { rawKeys: true, depthParts: 2, lateValueSteps: stages >= 3 ? 2 : 0, loadsAhead: 3 };
}

/** The tile for a problem on a device. Pure. */
export function chooseTile(problem: TileProblem, limits: DeviceLimits): MlaTile {
  const { element, headDimQk, headDimV, rows, gathered, pageSize } = problem;
  const wanted = rows <= 16 ? [16, 32] : rows <= 32 ? [32] : [64, 32];
  const rawKeys = problem.rawKeys === true && limits.sm >= 89 && rows <= 16;
  for (const candidate of rawKeys ? rawCandidates : candidates) {
    if (!wanted.includes(candidate.rows)) continue;
    if (spills(problem, candidate, limits)) continue;
    const stages = rawKeys ? { packedSlots: 0 } : stagesFor(problem, candidate);
    const raw = rawKeys ? halvedDepth(candidate) : noRawKeys;
    const tile = { ...candidate, ...stages, ...raw, element, headDimQk, headDimV };
    const inShared = rawKeys ? 0 : sharedQuerySteps(problem, tile.rows);
    const pages = pagesOf(pageSize, tile.tokens);
    const chosen = { ...tile, gathered, pages, sharedQuerySteps: inShared };
    if (mlaShared(chosen).bytes <= limits.maxSharedPerBlock) return chosen;
  }
  throw new RangeError(
    `no tile for head dimensions ${headDimQk} and ${headDimV} fits ${limits.maxSharedPerBlock} bytes of shared memory`,
  );
}

/**
 * Decoding rows of pages of any size beside 64 query rows leaves too few registers for the scores of 64
 * tokens below sm_100, whose assembler finds some.
 */
function spills(problem: TileProblem, { rows, tokens }: Candidate, { sm }: DeviceLimits): boolean {
  const { pageSize = blockTokens } = problem;
  const decodesScattered = isScattered(pageSize, blockTokens) && problem.packedSlots(8) > 0;
  return decodesScattered && sm < 100 && rows === 64 && tokens === 64;
}

/** Packed rows wait in slots, so that their decoded keys need one stage only. */
function stagesFor({ packedSlots }: TileProblem, { tokens, stages }: Candidate) {
  const slots = packedSlots(ctaThreads / tokens);
  return { packedSlots: slots, stages: slots > 0 ? 1 : stages };
}

/**
 * Query fragments of a step take four registers. Beside the outputs of 16 rows those of all 36 steps
 * fit, of 32 rows fewer, and fewer still beside the scores of 64 tokens; finding or decoding rows one by
 * one takes registers too.
 */
const registerSteps = {
  inOrder: { 16: 36, 32: 24, 64: 0 },
  oneByOne: { 16: 28, 32: 20, 64: 0 },
} as const;

function sharedQuerySteps(problem: TileProblem, rows: MlaTile['rows']): number {
  const steps = problem.headDimQk / 16;
  const oneByOne = problem.gathered || problem.packedSlots(8) > 0;
  const most = registerSteps[oneByOne ? 'oneByOne' : 'inOrder'][rows];
  // Whole segments of shared memory.
  return Math.min(steps, Math.max(0, Math.ceil((steps - most) / 4) * 4));
}
