import type {
  DenseAttentionArgs,
  DenseDecodeArgs,
  SparseDecodeArgs,
  SparsePrefillArgs,
} from '../../contract.ts';
import type { ComputeScheduleArgs } from '../../schedule-contract.ts';

/** A fault of a backend (`conformance/testing/faulty-backend.ts`) in an operation of attention. */
export type AttentionFault = {
  readonly denseDecode?: (args: DenseDecodeArgs) => DenseDecodeArgs;
  readonly sparseDecode?: (args: SparseDecodeArgs) => SparseDecodeArgs;
  readonly sparsePrefill?: (args: SparsePrefillArgs) => SparsePrefillArgs;
  readonly denseAttention?: (args: DenseAttentionArgs) => DenseAttentionArgs;
  readonly computeSchedule?: (args: ComputeScheduleArgs) => ComputeScheduleArgs;
};
