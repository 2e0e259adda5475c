import type { ParamInputs } from '@flash-mla/ptx';
import type { DenseDecodeArgs, SparseDecodeArgs } from '../../backend.ts';
import type { BindContext, LaunchPlan, OperationPlan, PreparedLaunch } from '../kernel-family.ts';
import type { DenseDecodeProblem, SparseDecodeProblem } from '../problems.ts';
import type { CommonDecodeParams, CommonDenseParams } from './mla/decode-params.ts';
import { blockTokens } from './mla/pieces.ts';
import type { CombineConfig } from './sm80_combine.ts';
import {
  bindCombine,
  type CombineLaunch,
  type DecodeRows,
  planSplits,
  type SplitResults,
} from './sm80_combine_launch.ts';

/** A decode kernel, and the combine that merges its splits where there can be any. */
export interface DecodePlan<Main extends LaunchPlan = LaunchPlan> extends OperationPlan {
  readonly launches: { readonly main: Main; readonly combine?: CombineLaunch };
  readonly splits: SplitResults;
}

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

/** What the parameters of any decode kernel are before a call: those that depend on the problem are set. */
export function decodeInputs(
  problem: DenseDecodeProblem | SparseDecodeProblem,
  splits: SplitResults,
): ParamInputs<CommonDecodeParams> {
  return {
    metadata: 0,
    numSplits: 0,
    batch: problem.batch,
    mostBlocks: splits.mostBlocks,
    splitBlocks: problem.plan.splitBlocks,
    mostSplits: splits.mostSplits,
    slots: splits.slots,
    out: 0,
    lse: 0,
    partialOut: 0,
    partialLse: 0,
    seqLenQ: problem.seqLenQ,
    numHeadsQ: problem.numHeadsQ,
    scale: problem.softmaxScale * Math.LOG2E,
  };
}

/** The same for dense decoding: all but the keys'. */
export function denseInputs(problem: DenseDecodeProblem, splits: SplitResults) {
  return {
    ...decodeInputs(problem, splits),
    q: 0,
    blockTable: 0,
    seqlens: 0,
    qStrides: problem.q.strides,
    blockTableStride: problem.blockTableStride,
    capacity: capacityOf(problem),
    numBlocks: problem.numBlocks,
    groupSize: problem.numHeadsQ / problem.numHeadsKv,
    causal: problem.causal ? 1 : 0,
  };
}

/** Of a call: its schedule and where results go. */
type ResultArgs = Pick<SparseDecodeArgs, 'schedule' | 'out' | 'lse' | 'attnSink'>;

/** Sets the parameters of {@link decodeInputs} and enqueues a prepared kernel and its combine. */
export function bindDecode(
  context: BindContext,
  main: PreparedLaunch<CommonDecodeParams>,
  { launches, splits, workspaceBytes }: DecodePlan,
  rows: DecodeRows,
): (args: ResultArgs) => void {
  const metadata = main.setter('metadata');
  const numSplits = main.setter('numSplits');
  const out = main.setter('out');
  const lse = main.setter('lse');
  const partialOut = main.setter('partialOut');
  const partialLse = main.setter('partialLse');
  const combine = launches.combine && bindCombine(context, launches.combine, splits, rows);

  return (args) => {
    const workspace = context.workspace(workspaceBytes);
    const results = {
      workspace,
      numSplits: context.address(args.schedule.numSplits),
      out: context.address(args.out),
      lse: context.address(args.lse),
      sink: context.address(args.attnSink),
    };
    metadata(context.address(args.schedule.metadata));
    numSplits(results.numSplits);
    out(results.out);
    lse(results.lse);
    partialOut(workspace);
    partialLse(workspace + splits.outputBytes);
    main.enqueue();
    combine?.(results);
  };
}

/** The same with those of {@link denseInputs}. */
export function bindDenseDecode(
  context: BindContext,
  main: PreparedLaunch<CommonDenseParams>,
  plan: DecodePlan,
  problem: DenseDecodeProblem,
): (args: DenseDecodeArgs) => void {
  const q = main.setter('q');
  const blockTable = main.setter('blockTable');
  const seqlens = main.setter('seqlens');
  const enqueue = bindDecode(context, main, plan, problem);
  return (args) => {
    q(context.address(args.q));
    blockTable(context.address(args.blockTable));
    seqlens(context.address(args.seqlens));
    enqueue(args);
  };
}
