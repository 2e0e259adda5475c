import { type ParamInputs, type TensorMapDescription, tensorMapBytes } from '@flash-mla/ptx';
import type { DenseDecodeArgs } from '../../backend.ts';
import type { BindContext, LaunchPlan, OperationPlan, PreparedLaunch } from '../kernel-family.ts';
import type { DeviceLimits } from '../limits.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import type { DecodeParams } from './hopper/params.ts';
import { headDimV } from './hopper/tile.ts';
import { blockTokens } from './mla/pieces.ts';
import type { Element } from './mla/tile.ts';
import {
  bindCombine,
  type CombineLaunch,
  planCombine,
  planSplits,
  type SplitResults,
} from './sm80_combine_launch.ts';

/** What the family's decode kernels have in common: parameters that all of them take. */
type CommonParams = DecodeParams<Element | 'e4m3'>;

export interface HopperDecodePlan<Main extends LaunchPlan = LaunchPlan> extends OperationPlan {
  readonly launches: { readonly main: Main; readonly combine?: CombineLaunch };
  readonly splits: SplitResults;
}

/** Whether tensor copies of whole blocks can bring the keys, whose elements have so many bytes. */
export function mapsKeys(problem: DenseDecodeProblem, bytes: 1 | 2): boolean {
  const { pageSize, q, kCache, numBlocks } = problem;
  return (
    pageSize % blockTokens === 0 &&
    q.alignment >= 16 &&
    kCache.alignment >= 16 &&
    numBlocks > 0 &&
    kCache.strides.every((stride) => stride * bytes < 2 ** 40)
  );
}

/** The plan of a kernel that leaves results of splits as `partial`. */
export function planDecode<Main extends LaunchPlan>(
  problem: DenseDecodeProblem,
  limits: DeviceLimits,
  main: Main,
  partial: 'f16' | 'f32',
): HopperDecodePlan<Main> {
  const { outDtype, plan, pageSize } = problem;
  const maxBlocks = Math.ceil((problem.maxBlocks * pageSize) / blockTokens);
  const splits = planSplits(problem, plan, maxBlocks, partial);
  const combine = planCombine(
    { outElement: outDtype, headDimV, hasSink: false, partial, overlaps: true },
    problem,
    limits,
  );
  return {
    launches: splits.slots > 0 ? { main, combine } : { main },
    splits,
    workspaceBytes: splits.workspaceBytes,
  };
}

/** What parameters are before a call: those that depend on the problem have their values. */
export function decodeInputs(
  problem: DenseDecodeProblem,
  splits: SplitResults,
): ParamInputs<CommonParams> {
  return {
    keys: new Uint8Array(tensorMapBytes),
    q: 0,
    blockTable: 0,
    seqlens: 0,
    metadata: 0,
    numSplits: 0,
    out: 0,
    lse: 0,
    partialOut: 0,
    partialLse: 0,
    slots: Math.max(1, splits.slots),
    seqLenQ: problem.seqLenQ,
    numHeadsQ: problem.numHeadsQ,
    qStrides: problem.q.strides,
    blockTableStride: problem.blockTableStride,
    capacity: Math.min(problem.maxBlocks * problem.pageSize, 2 ** 31 - 1 - blockTokens),
    groupSize: problem.numHeadsQ / problem.numHeadsKv,
    splitBlocks: problem.plan.splitBlocks,
    causal: problem.causal ? 1 : 0,
    scale: problem.softmaxScale * Math.LOG2E,
  };
}

/** Enqueues calls of a prepared kernel and its combine; `keysAt` maps a cache at an address. */
export function bindDecode(
  context: BindContext,
  main: PreparedLaunch<CommonParams>,
  { launches, splits, workspaceBytes }: HopperDecodePlan,
  problem: DenseDecodeProblem,
  keysAt: (address: number) => TensorMapDescription,
): (args: DenseDecodeArgs) => void {
  const keys = main.tensorMapSetter('keys');
  const q = main.setter('q');
  const blockTable = main.setter('blockTable');
  const seqlens = main.setter('seqlens');
  const metadata = main.setter('metadata');
  const numSplits = main.setter('numSplits');
  const out = main.setter('out');
  const lse = main.setter('lse');
  const partialOut = main.setter('partialOut');
  const partialLse = main.setter('partialLse');
  const combine = launches.combine && bindCombine(context, launches.combine, splits, problem);

  return (args) => {
    const workspace = context.workspace(workspaceBytes);
    const results = {
      workspace,
      numSplits: context.address(args.schedule.numSplits),
      out: context.address(args.out),
      lse: context.address(args.lse),
      sink: 0,
    };
    keys(keysAt(context.address(args.kCache)));
    q(context.address(args.q));
    blockTable(context.address(args.blockTable));
    seqlens(context.address(args.seqlens));
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
