import type { DenseDecodeArgs, ScheduleProblem } from '../../backend.ts';
import type { DecodeOperation, KernelSpec, LaunchPlan } from '../kernel-family.ts';
import type { DeviceLimits } from '../limits.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import {
  bindDenseDecode,
  type DecodePlan,
  denseInputs,
  planDenseSplits,
  planWithCombine,
} from './decode_launch.ts';
import { chooseTile } from './mla/choose-tile.ts';
import { asAlignment } from './mla/copy.ts';
import { mergedBytes, type SplitMerge } from './mla/merge-splits.ts';
import { e4m3Format, packedSlots } from './mla/packed-formats.ts';
import { blockTokens } from './mla/pieces.ts';
import type { MlaTile } from './mla/tile.ts';
import { planCombine, type SplitResults } from './sm80_combine_launch.ts';
import {
  buildDenseDecode,
  type DenseDecodeConfig,
  type DenseDecodeParams,
} from './sm80_dense_decode.ts';

export const denseDecodeSpec: KernelSpec<DenseDecodeConfig, DenseDecodeParams> = {
  name: 'sm80_dense_decode',
  build: buildDenseDecode,
};

type MainLaunch = LaunchPlan<DenseDecodeConfig, DenseDecodeParams>;

interface DenseDecodePlan extends DecodePlan<MainLaunch> {
  /** Counters of CTAs that merge splits. */
  readonly arrivals: number;
}

/** What decides the tile, in a problem and in a schedule's. */
type Shape = Pick<
  ScheduleProblem,
  'seqLenQ' | 'numHeadsQ' | 'numHeadsKv' | 'headDimQk' | 'headDimV'
>;

function denseTile(
  { seqLenQ, numHeadsQ, numHeadsKv, headDimQk, headDimV }: Shape,
  dtype: DenseDecodeProblem['dtype'],
  limits: DeviceLimits,
  pageSize: number,
): MlaTile {
  const isFp8 = dtype === 'e4m3';
  return chooseTile(
    {
      element: dtype === 'bf16' ? 'bf16' : 'f16',
      headDimQk,
      headDimV,
      rows: (seqLenQ * numHeadsQ) / numHeadsKv,
      gathered: false,
      pageSize,
      rawKeys: isFp8,
      packedSlots: (threads) => (isFp8 ? packedSlots(e4m3Format(headDimQk), threads).all : 0),
    },
    limits,
  );
}

/** Parts per request up to which CTAs merge splits themselves. Measured: 2 gain 0.5 %, 4 lose 2 %. */
const mostParts = 3;

/**
 * Whether CTAs merge the splits of a request themselves: where there are few rows and most requests are
 * whole, so that no CTA has much to merge. A kernel of its own spreads the work over all
 * multiprocessors, but must be launched.
 */
export function chooseMerge(
  { plan, batch, seqLenQ, numHeadsQ, numHeadsKv }: DenseDecodeProblem,
  tile: MlaTile,
): SplitMerge | undefined {
  if (tile.rows !== 16 || plan.splitBlocks > 0) return undefined;
  if (plan.numParts > mostParts * batch) return undefined;
  const rows = (seqLenQ * numHeadsQ) / numHeadsKv;
  return { rows: rows <= 8 ? 8 : 16, looksAhead: true };
}

/** A plan with choices that are otherwise made for it, for measurements. */
export function planDenseDecode(
  problem: DenseDecodeProblem,
  limits: DeviceLimits,
  { choose = chooseMerge },
): DenseDecodePlan {
  const { dtype, outDtype, seqLenQ, numHeadsQ, numHeadsKv, headDimV, plan } = problem;
  const tile = denseTile(problem, dtype, limits, problem.pageSize);
  const unmerged = planDenseSplits(problem, 'f32');
  const merge = unmerged.slots > 0 ? choose(problem, tile) : undefined;
  const overlap = limits.sm >= 90;
  const config: DenseDecodeConfig = {
    tile,
    stored: dtype,
    outElement: outDtype,
    pageSize: problem.pageSize,
    queryAlignment: asAlignment(problem.q.alignment),
    keyAlignment: asAlignment(problem.kCache.alignment),
    ...(merge && { merge }),
  };
  const rowTiles = Math.ceil((seqLenQ * numHeadsQ) / numHeadsKv / tile.rows);
  const main: MainLaunch = {
    kernel: denseDecodeSpec,
    config,
    grid: problem.batch === 0 ? [0, 0, 0] : [rowTiles, numHeadsKv, plan.numParts],
    overlap,
  };
  if (merge !== undefined) {
    const splits = mergedSplits(unmerged, rowTiles * numHeadsKv, tile, merge);
    const arrivals = rowTiles * numHeadsKv * plan.numParts;
    return { launches: { main }, splits, arrivals, workspaceBytes: splits.workspaceBytes };
  }
  const results = { outElement: outDtype, headDimV, hasSink: false, partial: 'f32' } as const;
  const combine = planCombine({ ...results, overlaps: overlap }, problem, limits);
  return { ...planWithCombine(main, unmerged, combine), arrivals: 0 };
}

/** Room for the results of splits, each of so many CTAs. */
function mergedSplits(
  unmerged: SplitResults,
  ctas: number,
  tile: MlaTile,
  merge: SplitMerge,
): SplitResults {
  const { slots } = unmerged;
  const { outputs, statistics } = mergedBytes(tile, merge);
  const outputBytes = slots * ctas * outputs;
  const workspaceBytes = outputBytes + slots * ctas * statistics;
  return { ...unmerged, outputBytes, workspaceBytes };
}

/** Dense decoding on tensor cores, from sm_80 up. */
export const denseDecode: DecodeOperation<DenseDecodeProblem, DenseDecodeArgs> = {
  tiling(problem, limits) {
    const { rows } = denseTile(problem, problem.isFp8 ? 'e4m3' : 'bf16', limits, blockTokens);
    return { rowsPerTile: rows, ctasPerSm: 1 };
  },

  plan: (problem, limits) => planDenseDecode(problem, limits, {}),

  bind(context, anyPlan, problem) {
    const plan = anyPlan as DenseDecodePlan;
    const main = context.prepare(plan.launches.main, {
      ...denseInputs(problem, plan.splits),
      kCache: 0,
      arrivals: plan.arrivals > 0 ? context.counters(plan.arrivals) : 0,
      descaleQ: 0,
      descaleK: 0,
      kStrides: problem.kCache.strides,
    });
    const kCache = main.setter('kCache');
    const descaleQ = main.setter('descaleQ');
    const descaleK = main.setter('descaleK');
    const enqueue = bindDenseDecode(context, main, plan, problem);
    return (args) => {
      kCache(context.address(args.kCache));
      descaleQ(context.address(args.descaleQ));
      descaleK(context.address(args.descaleK));
      enqueue(args);
    };
  },
};
