import type { TensorMapDescription } from '@flash-mla/ptx';
import type { Grid } from '../../../../runtime/cuda/driver/driver.ts';
import type {
  BindContext,
  Call,
  KernelKey,
  LaunchPlan,
  PreparedLaunch,
} from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import type { Element } from '../../../kernel-lib/cuda/element.ts';
import type { DenseDecodeArgs } from '../../contract.ts';
import {
  bindDecode,
  type DecodePlan,
  denseSetter,
  planDenseSplits,
  planWithCombine,
} from '../decode_launch.ts';
import { blockTokens } from '../pieces.ts';
import type { DenseDecodeProblem, DenseDecodeShape } from '../problems.ts';
import { combineSplitsAtOnce, combineWarpsPerRow, planCombine } from '../sm80_combine_launch.ts';
import type { DecodeParams } from './dense/params.ts';

/** What parameters of the family's decode kernels have in common. */
type MappedParams = DecodeParams<Element | 'e4m3'>;

/** Whether tensor copies of whole blocks can bring the keys, whose elements have so many bytes. */
export function mapsKeys(problem: DenseDecodeShape, bytes: 1 | 2): boolean {
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
  const { outDtype: outElement, headDimV } = problem;
  const results = { outElement, headDimV, hasSink: false, partial } as const;
  const combine = planCombine({ ...results, overlaps: true }, problem, limits);
  return planWithCombine(main, planDenseSplits(problem, partial), combine);
}

/** What decides the code of these kernels: `tile` says what of their tiles is chosen by the problem. */
export function decodeKey(
  problem: DenseDecodeProblem,
  limits: DeviceLimits,
  partial: 'f16' | 'f32',
  tile: number,
): KernelKey {
  const isSplit = planDenseSplits(problem, partial).slots > 0;
  return {
    dtype: problem.dtype,
    outDtype: problem.outDtype,
    pageSize: problem.pageSize,
    tile,
    combineWarps: isSplit ? combineWarpsPerRow(problem, limits, partial) : 0,
    combineSplits: isSplit ? combineSplitsAtOnce(problem) : 0,
  };
}

/** CTAs: tiles of rows, KV heads, parts of the schedule; none without requests. */
export function decodeGrid(problem: DenseDecodeProblem, rowTiles: number): Grid {
  const { batch, numHeadsKv, plan } = problem;
  return batch === 0 ? [0, 0, 0] : [rowTiles, numHeadsKv, plan.numParts];
}

/** How a kernel of this family runs a call. */
interface MappedDecode {
  readonly partial: 'f16' | 'f32';
  /** How the cache at an address is copied. */
  keyMap(problem: DenseDecodeProblem, address: number): TensorMapDescription;
  rowTiles(problem: DenseDecodeProblem): number;
}

/** The function that runs on every call of a prepared kernel and its combine. */
export function bindMappedDecode(
  context: BindContext,
  main: PreparedLaunch<MappedParams>,
  { launches }: DecodePlan,
  { partial, keyMap, rowTiles }: MappedDecode,
) {
  const setDense = denseSetter(context, main);
  const enqueue = bindDecode(context, main, launches.combine);
  return (args: DenseDecodeArgs, problem: DenseDecodeProblem, call: Call): void => {
    main.set.keys(keyMap(problem, context.address(args.kCache)));
    setDense(args, problem);
    const grid = decodeGrid(problem, rowTiles(problem));
    enqueue(args, problem, { grid, splits: planDenseSplits(problem, partial) }, call);
  };
}
