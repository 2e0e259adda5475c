import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import type { SchedulePlan, ScheduleProblem } from '../schedule-contract.ts';

/** How a decode kernel cuts the queries of a request; decides how many parts a schedule has. */
export interface DecodeTiling {
  /** Query rows (queries × heads that share a KV head) of one CTA. */
  readonly rowsPerTile: number;
  /** CTAs that one SM runs side by side. */
  readonly ctasPerSm: number;
}

/** Tokens of a block, for every kernel: FlashMLA's. */
export const blockTokens = 64;
/** Starting a request costs a part about as much as this many blocks; FlashMLA's constant. */
const overheadBlocks = 5;
/**
 * Deterministic splits: 1024 tokens. Must not depend on the batch; long enough that a split's partial
 * result costs little, short enough that one long request fills a GPU.
 */
const deterministicSplitBlocks = 16;

/**
 * How decoding is cut: as many parts as the GPU runs side by side, given that each part comes once per
 * row tile and KV head, and never more parts than there are blocks.
 */
export function planSchedule(
  problem: ScheduleProblem,
  tiling: DecodeTiling,
  limits: DeviceLimits,
): SchedulePlan {
  const { kind, batch, seqLenQ, numHeadsQ, numHeadsKv, deterministic } = problem;
  const rows =
    kind === 'dense'
      ? Math.ceil((seqLenQ * numHeadsQ) / numHeadsKv / tiling.rowsPerTile)
      : seqLenQ * Math.ceil(numHeadsQ / tiling.rowsPerTile);
  const side = limits.smCount * tiling.ctasPerSm;
  const parts = Math.floor(side / (rows * numHeadsKv));
  return {
    numParts: Math.max(1, Math.min(parts, batch * blocksPerRequest(problem))),
    blockTokens,
    overheadBlocks,
    splitBlocks: deterministic ? deterministicSplitBlocks : 0,
  };
}

/** The most blocks that a request can have. */
function blocksPerRequest({ kind, maxSeqLenK, topk = 0, extraTopk = 0 }: ScheduleProblem): number {
  const blocks = (tokens: number): number => Math.ceil(tokens / blockTokens);
  if (kind === 'dense') {
    return maxSeqLenK === undefined ? Number.POSITIVE_INFINITY : Math.max(1, blocks(maxSeqLenK));
  }
  return Math.max(1, blocks(topk)) + blocks(extraTopk);
}
