import type { Grid } from '../../../runtime/cuda/driver/driver.ts';
import type {
  BindContext,
  Call,
  CudaKernel,
  LaunchPlan,
  OperationPlan,
  PreparedLaunch,
} from '../../../runtime/cuda/kernel.ts';
import type { DenseDecodeArgs, SparseDecodeArgs } from '../contract.ts';
import type { DecodeShape, SchedulePlan } from '../schedule-contract.ts';
import type { CommonDecodeParams, CommonDenseParams } from './decode-params.ts';
import { blockTokens } from './pieces.ts';
import type { DenseDecodeProblem, SparseDecodeProblem } from './problems.ts';
import type { CombineConfig } from './sm80_combine.ts';
import {
  bindCombine,
  type CombineLaunch,
  planSplits,
  type SplitResults,
} from './sm80_combine_launch.ts';

/** A decode kernel, and the combine that merges its splits where there can be any. */
export interface DecodePlan<Main extends LaunchPlan = LaunchPlan> extends OperationPlan {
  readonly launches: { readonly main: Main; readonly combine?: CombineLaunch };
  readonly splits: SplitResults;
}

/** A kernel of dense decoding. */
export type DenseKernel<Main extends LaunchPlan> = CudaKernel<
  DenseDecodeArgs,
  DenseDecodeProblem,
  DecodePlan<Main>,
  DecodeShape,
  SchedulePlan
>;

/** The plan of a kernel that leaves the merging of splits to the combine. */
export function planWithCombine<Main extends LaunchPlan>(
  main: Main,
  splits: SplitResults,
  combine: CombineLaunch,
): DecodePlan<Main> {
  return {
    launches: splits.slots > 0 ? { main, combine } : { main },
    splits,
    workspaceBytes: splits.workspaceBytes,
  };
}

/** Tokens that a row of the block table can name, so far below 2^31 that rounding up does not overflow. */
export function capacityOf({ maxBlocks, pageSize }: DenseDecodeProblem): number {
  return Math.min(maxBlocks * pageSize, 2 ** 31 - 1 - blockTokens);
}

/** Room for the splits of dense decoding: see {@link planSplits}. */
export function planDenseSplits(
  problem: DenseDecodeProblem,
  partial: CombineConfig['partial'],
): SplitResults {
  const blocks = (tokens: number) => Math.max(1, Math.ceil(tokens / blockTokens));
  const scheduled = blocks(problem.scheduledSeqLenK ?? Number.POSITIVE_INFINITY);
  return planSplits(problem, problem.plan, blocks(capacityOf(problem)), partial, scheduled);
}

/** Of a call: its schedule and where results go. */
type ResultArgs = Pick<SparseDecodeArgs, 'schedule' | 'out' | 'lse' | 'attnSink'>;

/** What changes with the sizes of a problem: how a call is launched, and room for its splits. */
export interface DecodeSizes {
  readonly grid: Grid;
  readonly splits: SplitResults;
}

/** Sets the parameters of any decode kernel, and enqueues it and its combine. */
export function bindDecode(
  context: BindContext,
  main: PreparedLaunch<CommonDecodeParams>,
  combineLaunch: CombineLaunch | undefined,
) {
  const { set } = main;
  const combine = combineLaunch && bindCombine(context, combineLaunch);

  return (
    args: ResultArgs,
    problem: DenseDecodeProblem | SparseDecodeProblem,
    { grid, splits }: DecodeSizes,
    call: Call,
  ): void => {
    const workspace = call.workspace(splits.workspaceBytes);
    const results = {
      workspace,
      numSplits: context.address(args.schedule.numSplits),
      out: context.address(args.out),
      lse: context.address(args.lse),
      sink: context.address(args.attnSink),
    };
    set.metadata(context.address(args.schedule.metadata));
    set.numSplits(results.numSplits);
    set.out(results.out);
    set.lse(results.lse);
    set.partialOut(workspace);
    set.partialLse(workspace + splits.outputBytes);
    set.slots(splits.slots);
    set.batch(problem.batch);
    set.mostBlocks(splits.mostBlocks);
    set.mostSplits(splits.mostSplits);
    set.seqLenQ(problem.seqLenQ);
    set.numHeadsQ(problem.numHeadsQ);
    set.splitBlocks(problem.plan.splitBlocks);
    set.scale(problem.softmaxScale * Math.LOG2E);
    main.enqueue(call, grid);
    combine?.(results, splits, problem, call);
  };
}

/** A function that sets the parameters that dense decoding adds: all but the keys'. */
export function denseSetter(context: BindContext, { set }: PreparedLaunch<CommonDenseParams>) {
  return (args: DenseDecodeArgs, problem: DenseDecodeProblem): void => {
    set.q(context.address(args.q));
    set.qStrides(problem.q.strides);
    set.blockTable(context.address(args.blockTable));
    set.blockTableStride(problem.blockTableStride);
    set.seqlens(context.address(args.seqlens));
    set.capacity(capacityOf(problem));
    set.numBlocks(problem.numBlocks);
    set.groupSize(problem.numHeadsQ / problem.numHeadsKv);
    set.causal(problem.causal ? 1 : 0);
  };
}
