import { contiguousLayout } from '@flash-mla/core';
import { allocateMemory } from '../../../runtime/tensor/allocation.ts';
import { Tensor, type TensorHost } from '../../../runtime/tensor/tensor.ts';
import { computeSchedule, denseDecode, sparseDecode } from '../operations.ts';
import { metadataWidth } from '../schedule/metadata.ts';
import type { DecodeShape, Schedule, SchedulePlan, ScheduleProblem } from '../schedule-contract.ts';

/** What a schedule is computed from. */
export interface ScheduleRequest extends DecodeShape {
  readonly device: TensorHost;
  /** Dense: i32 (b). */
  readonly seqlens?: Tensor | undefined;
  /** Sparse: i32 (b) each; absent means all of `problem.topk` and `problem.extraTopk`. */
  readonly topkLength?: Tensor | undefined;
  readonly extraTopkLength?: Tensor | undefined;
}

/**
 * i32 (parts, 8), see `TileSchedule.metadata`: how a decode problem is cut. Only the library makes
 * these: whoever writes to them gets undefined results, though a kernel follows them nowhere but into
 * the tensors of its call. Disposing of it frees {@link numSplits} as well.
 */
export class TileSchedulerMetadata extends Tensor<'i32'> {
  /** i32 (b + 1): prefix sums of the number of splits of each request. */
  readonly numSplits: Tensor<'i32'>;
  /** The problem that it was made for. */
  readonly problem: ScheduleProblem;
  /** What a backend takes. */
  readonly schedule: Schedule;

  private constructor(device: TensorHost, problem: ScheduleProblem, plan: SchedulePlan) {
    const { shape, strides } = contiguousLayout([plan.numParts, metadataWidth]);
    super(device, allocateMemory(device, shape, 'i32'), 'i32', shape, strides, 0);
    try {
      this.numSplits = Tensor.allocate(device, [problem.batch + 1], 'i32');
    } catch (error) {
      super.dispose();
      throw error;
    }
    this.problem = problem;
    const { maxSeqLenK } = problem;
    this.schedule = { metadata: this, numSplits: this.numSplits, plan, maxSeqLenK };
    Object.freeze(this);
  }

  /** Plans the cut and enqueues its computation. Throws {@link OutOfMemoryError}. */
  static compute(request: ScheduleRequest): TileSchedulerMetadata {
    const { device, problem } = request;
    const operation = problem.kind === 'dense' ? denseDecode : sparseDecode;
    const plan = device.backend.traits(operation, request);
    const metadata = new TileSchedulerMetadata(device, problem, plan);
    try {
      metadata.recompute(request);
    } catch (error) {
      metadata.dispose();
      throw error;
    }
    return metadata;
  }

  /** Enqueues the computation again, for lengths that have changed. */
  recompute({ device, problem, seqlens, topkLength, extraTopkLength }: ScheduleRequest): void {
    const { metadata, numSplits, plan } = this.schedule;
    device.backend.run(computeSchedule, {
      problem,
      plan,
      seqlens,
      topkLength,
      extraTopkLength,
      metadata,
      numSplits,
    });
  }

  override dispose(): void {
    super.dispose();
    this.numSplits.dispose();
  }
}
