import type { TensorView } from '../../runtime/tensor/view.ts';
import type { DenseDecodeInputs, SparseDecodeInputs } from './contract.ts';

/** How decoding work is cut; decided by the kernel that will run, pure and printable. */
export interface SchedulePlan {
  /** Rows of the tile-scheduler metadata: how many parts run side by side. */
  readonly numParts: number;
  /** Tokens of one block, the unit in which sequences are split. */
  readonly blockTokens: number;
  /** Cost of starting a request, in blocks. */
  readonly overheadBlocks: number;
  /**
   * 0: a request may be cut at any block, so that parts are balanced. Above 0 (deterministic): every
   * request is cut after each `splitBlocks` blocks whatever else is in the batch, parts begin and end
   * at such cuts, and a part may hold several splits of one request.
   */
  readonly splitBlocks: number;
}

/** What decides a schedule, without the lengths themselves. */
export interface ScheduleProblem {
  readonly kind: 'dense' | 'sparse';
  readonly batch: number;
  readonly seqLenQ: number;
  readonly numHeadsQ: number;
  readonly numHeadsKv: number;
  readonly headDimQk: number;
  readonly headDimV: number;
  /** Sparse: top-k width of the main cache and of the extra cache (0 = none). */
  readonly topk?: number;
  readonly extraTopk?: number;
  /** Dense: whether queries and cache are e4m3. Sparse: whether rows are packed FP8. */
  readonly isFp8: boolean;
  /** Dense: the longest sequence that the block table can hold, in tokens. */
  readonly maxSeqLenK?: number;
  /** Split each request the same way in any batch (`SchedulePlan.splitBlocks` above 0). */
  readonly deterministic: boolean;
}

/**
 * What a decode kernel is asked before a call: how it wants the work to be cut. Where the tensors of the
 * call are known, the kernel that will run is the one that answers; where metadata are made ahead of
 * it (`getMlaMetadata` with lengths), contiguous tensors with pages of 64 tokens are assumed.
 */
export interface DecodeShape {
  readonly problem: ScheduleProblem;
  readonly dense?: DenseDecodeInputs | undefined;
  readonly sparse?: SparseDecodeInputs | undefined;
}

/** Tile-scheduler metadata and split prefix sums, as a decode call takes them. */
export interface Schedule {
  /** i32 (numParts, 8). */
  readonly metadata: TensorView;
  /** i32 (b + 1), prefix sums of the number of splits of each request. */
  readonly numSplits: TensorView;
  readonly plan: SchedulePlan;
  /**
   * Dense: the longest sequence that it was computed for, in tokens; absent: any. May differ from what
   * the block table of a call can hold.
   */
  readonly maxSeqLenK?: number | undefined;
}

/** Arguments of the operation `computeSchedule`. */
export interface ComputeScheduleArgs {
  readonly problem: ScheduleProblem;
  readonly plan: SchedulePlan;
  /** Dense: i32 (b). Sparse: absent. */
  readonly seqlens?: TensorView;
  /** Sparse, i32 (b): attended entries of `indices` / `extraIndices`; absent means all of them. */
  readonly topkLength?: TensorView;
  readonly extraTopkLength?: TensorView;
  /** Outputs: i32 (numParts, 8) and i32 (b + 1). */
  readonly metadata: TensorView;
  readonly numSplits: TensorView;
}
