import type { SchedulePlan, ScheduleProblem } from '../schedule-contract.ts';

/** Query rows that share decoded keys: enough to make decoding cheap, few enough to stay in cache. */
export const maxTileRows = 128;

/** Tokens that the deterministic mode puts in one split. */
const splitTokens = 1024;

/** Parts for each thread: threads take parts as they get free, which evens out their speeds. */
const partsPerThread = 4;

/** Cost of starting a request (packing queries, writing outputs), in blocks. */
const overheadBlocks = 1;

/** Tiles of query rows of one request. */
export function tilesPerRequest(problem: ScheduleProblem, tileRows = maxTileRows): number {
  const { kind, seqLenQ, numHeadsQ, numHeadsKv } = problem;
  if (kind === 'sparse') return seqLenQ * Math.ceil(numHeadsQ / tileRows);
  return numHeadsKv * Math.ceil((seqLenQ * (numHeadsQ / numHeadsKv)) / tileRows);
}

/** See {@link Backend.planSchedule}. */
export function planSchedule(
  problem: ScheduleProblem,
  threads: number,
  blockTokens: number,
): SchedulePlan {
  const splitBlocks = problem.deterministic ? splitTokens / blockTokens : 0;
  const numParts = Math.ceil((partsPerThread * threads) / tilesPerRequest(problem));
  return { numParts, blockTokens, overheadBlocks, splitBlocks };
}
