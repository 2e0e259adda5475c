import type { DeviceLimits } from '../../../../../runtime/cuda/limits.ts';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { pagesOf } from '../mla/page-table.ts';
import { type MhaTile, mhaShape, mhaShared } from './tile.ts';

/** What decides a tile. */
export interface MhaProblem {
  readonly element: Element;
  readonly headDimQk: number;
  readonly headDimV: number;
  /** Query rows that share keys: the most that a request has. */
  readonly rows: number;
  /** Requests × KV heads. */
  readonly parallel: number;
  /** Tokens of a page; absent: no pages. */
  readonly pageSize?: number | undefined;
}

type Candidate = Omit<MhaTile, 'element' | 'headDimQk' | 'headDimV'>;

/**
 * In the order of preference: the more rows of a warp share what it reads from shared memory, the less
 * that slows it down. Four such warps leave room for a second CTA, which works while one waits at its
 * barrier: on an H200 faster than eight by 5 to 13 %. The last fits 99 KB for every head dimension.
 */
const candidates: readonly Candidate[] = [
  { warps: 4, rowTiles: 2, tokens: 64, query: 'shared' },
  { warps: 4, rowTiles: 2, tokens: 32, query: 'shared' },
  { warps: 8, rowTiles: 1, tokens: 64, query: 'registers' },
  { warps: 4, rowTiles: 1, tokens: 64, query: 'registers' },
  { warps: 8, rowTiles: 1, tokens: 64, query: 'shared' },
  { warps: 4, rowTiles: 1, tokens: 64, query: 'shared' },
  { warps: 4, rowTiles: 1, tokens: 32, query: 'shared' },
];
const fewestRows = 64;

/** Registers of addresses, statistics and operands that are not in the tile's arithmetic. */
const otherRegisters = 64;

/** Registers of a thread, roughly. */
function registers(tile: MhaTile): number {
  const { depth, columns } = mhaShape(tile);
  const query = tile.query === 'registers' ? depth / 4 : 0;
  return tile.rowTiles * (query + columns / 2 + tile.tokens / 2) + otherRegisters;
}

/** The tile for a problem on a device. Pure. */
export function chooseMhaTile(problem: MhaProblem, limits: DeviceLimits): MhaTile {
  const { element, headDimQk, headDimV, pageSize } = problem;
  for (const candidate of candidates) {
    const tile: MhaTile = { element, headDimQk, headDimV, ...candidate };
    if (leavesGaps(problem, mhaShape(tile).rows, limits) || registers(tile) > 255) continue;
    if (mhaShared(tile, pagesOf(pageSize, tile.tokens)).bytes <= limits.maxSharedPerBlock)
      return tile;
  }
  throw new RangeError(
    `no tile for head dimensions ${headDimQk} and ${headDimV} fits ${limits.maxSharedPerBlock} bytes of shared memory`,
  );
}

/** Whether half of a large tile, or some multiprocessor, would have nothing to do. */
function leavesGaps(problem: MhaProblem, tileRows: number, { smCount }: DeviceLimits): boolean {
  if (tileRows <= fewestRows) return false;
  const ctas = Math.ceil(problem.rows / tileRows) * problem.parallel;
  return problem.rows <= tileRows / 2 || ctas < smCount;
}
