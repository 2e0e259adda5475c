import { type TensorMapDescription, tensorMapBytes } from '@flash-mla/ptx';
import type { DenseDecodeArgs } from '../../backend.ts';
import type { BindContext, LaunchPlan, PreparedLaunch } from '../kernel-family.ts';
import type { DeviceLimits } from '../limits.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import {
  bindDenseDecode,
  type DecodePlan,
  denseInputs,
  planDenseSplits,
  planWithCombine,
} from './decode_launch.ts';
import type { DecodeParams } from './hopper/params.ts';
import { headDimV } from './hopper/tile.ts';
import { blockTokens } from './mla/pieces.ts';
import type { Element } from './mla/tile.ts';
import { planCombine, type SplitResults } from './sm80_combine_launch.ts';

/** What parameters of the family's decode kernels have in common. */
type MappedParams = DecodeParams<Element | 'e4m3'>;

/** Whether tensor copies of whole blocks can bring the keys, whose elements have so many bytes. */
export function mapsKeys(problem: DenseDecodeProblem, bytes: 1 | 2): boolean {
  const { pageSize, q, kCache, numBlocks, maxBlocks } = problem;
  return (
    pageSize % blockTokens === 0 &&
    q.alignment >= 16 &&
    kCache.alignment >= 16 &&
    numBlocks > 0 &&
    maxBlocks > 0 &&
    kCache.strides.every((stride) => stride * bytes < 2 ** 40)
  );
}

/** The plan of a kernel that leaves results of splits as `partial`. */
export function planDecode<Main extends LaunchPlan>(
  problem: DenseDecodeProblem,
  limits: DeviceLimits,
  main: Main,
  partial: 'f16' | 'f32',
): DecodePlan<Main> {
  const { outDtype } = problem;
  const splits = planDenseSplits(problem, partial);
  const combine = planCombine(
    { outElement: outDtype, headDimV, hasSink: false, partial, overlaps: true },
    problem,
    limits,
  );
  return planWithCombine(main, splits, combine);
}

/** What parameters are before a call. */
export function mappedInputs(problem: DenseDecodeProblem, splits: SplitResults) {
  return { ...denseInputs(problem, splits), keys: new Uint8Array(tensorMapBytes) };
}

/** Enqueues calls of a prepared kernel and its combine; `keysAt` maps a cache at an address. */
export function bindMappedDecode(
  context: BindContext,
  main: PreparedLaunch<MappedParams>,
  plan: DecodePlan,
  problem: DenseDecodeProblem,
  keysAt: (address: number) => TensorMapDescription,
): (args: DenseDecodeArgs) => void {
  const keys = main.tensorMapSetter('keys');
  const enqueue = bindDenseDecode(context, main, plan, problem);
  return (args) => {
    keys(keysAt(context.address(args.kCache)));
    enqueue(args);
  };
}
