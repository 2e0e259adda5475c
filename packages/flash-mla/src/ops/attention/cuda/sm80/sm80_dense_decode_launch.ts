import type { KernelSpec, LaunchPlan } from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import { e4m3Format, packedSlots } from '../../../kernel-lib/cuda/packed-formats.ts';
import { remembered } from '../../../kernel-lib/cuda/remembered.ts';
import { asAlignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import { denseDecode } from '../../operations.ts';
import {
  bindDecode,
  type DenseKernel,
  denseSetter,
  planDenseSplits,
  planWithCombine,
} from '../decode_launch.ts';
import { denseShapeOf } from '../decode-shape.ts';
import { denseDecodeProblem } from '../problem-of.ts';
import type { DenseDecodeProblem, DenseDecodeShape } from '../problems.ts';
import { planSchedule } from '../schedule.ts';
import {
  combineSplitsAtOnce,
  combineWarpsPerRow,
  planCombine,
  type SplitResults,
} from '../sm80_combine_launch.ts';
import { chooseTile } from './mla/choose-tile.ts';
import { mergedBytes, type SplitMerge } from './mla/merge-splits.ts';
import type { MlaTile } from './mla/tile.ts';
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

/** What decides the tile. */
type TileShape = Pick<
  DenseDecodeShape,
  'dtype' | 'seqLenQ' | 'numHeadsQ' | 'numHeadsKv' | 'headDimQk' | 'headDimV' | 'pageSize'
>;

const rowsOf = ({ seqLenQ, numHeadsQ, numHeadsKv }: TileShape) =>
  (seqLenQ * numHeadsQ) / numHeadsKv;

const denseTile = remembered(
  (shape: TileShape, { sm, maxSharedPerBlock }: DeviceLimits) =>
    [
      ...[shape.dtype, rowsOf(shape), shape.headDimQk, shape.headDimV, shape.pageSize],
      ...[sm, maxSharedPerBlock],
    ].join(),
  (shape, limits): MlaTile => {
    const { dtype, headDimQk, headDimV } = shape;
    const isFp8 = dtype === 'e4m3';
    return chooseTile(
      {
        element: dtype === 'bf16' ? 'bf16' : 'f16',
        headDimQk,
        headDimV,
        rows: rowsOf(shape),
        gathered: false,
        pageSize: shape.pageSize,
        rawKeys: isFp8,
        packedSlots: (threads) => (isFp8 ? packedSlots(e4m3Format(headDimQk), threads).all : 0),
      },
      limits,
    );
  },
);

/** Parts per request up to which CTAs merge splits themselves. Measured: 2 gain 0.5 %, 4 lose 2 %. */
const mostParts = 3;

/**
 * Whether CTAs merge the splits of a request themselves: where there are few rows and most requests are
 * whole, so that no CTA has much to merge. A kernel of its own spreads the work over all
 * multiprocessors, but must be launched.
 */
export function chooseMerge(problem: DenseDecodeProblem, tile: MlaTile): SplitMerge | undefined {
  const { plan, batch } = problem;
  const rows = rowsOf(problem);
  if (tile.rows !== 16 || plan.splitBlocks > 0) return undefined;
  if (plan.numParts > mostParts * batch) return undefined;
  return { rows: rows <= 8 ? 8 : 16, looksAhead: true };
}

/** Room for the results of splits that another kernel merges. */
const unmergedSplits = (problem: DenseDecodeProblem) => planDenseSplits(problem, 'f32');

function combineOf(problem: DenseDecodeProblem, limits: DeviceLimits) {
  const { outDtype: outElement, headDimV } = problem;
  const results = { outElement, headDimV, hasSink: false, partial: 'f32' } as const;
  return planCombine({ ...results, overlaps: limits.sm >= 90 }, problem, limits);
}

/** How a problem is launched with a tile: what changes with its sizes. */
function sizesOf(problem: DenseDecodeProblem, tile: MlaTile, merge: SplitMerge | undefined) {
  const { batch, numHeadsKv, plan } = problem;
  const rowTiles = Math.ceil(rowsOf(problem) / tile.rows);
  const unmerged = unmergedSplits(problem);
  const ctas = rowTiles * numHeadsKv;
  return {
    grid: batch === 0 ? ([0, 0, 0] as const) : ([rowTiles, numHeadsKv, plan.numParts] as const),
    splits: merge ? mergedSplits(unmerged, ctas, tile, merge) : unmerged,
    /** Counters of CTAs that merge splits. */
    arrivals: merge ? ctas * plan.numParts : 0,
  };
}

/** A kernel with a choice of its own of what merges splits, for measurements. */
export function denseDecodeKernel({ choose = chooseMerge } = {}) {
  const mergeOf = (problem: DenseDecodeProblem, tile: MlaTile) =>
    unmergedSplits(problem).slots > 0 ? choose(problem, tile) : undefined;

  return {
    operation: denseDecode,
    problemOf: denseDecodeProblem,

    keyOf(problem, limits) {
      const merge = mergeOf(problem, denseTile(problem, limits));
      const combines = merge === undefined && unmergedSplits(problem).slots > 0;
      return {
        dtype: problem.dtype,
        outDtype: problem.outDtype,
        rows: rowsOf(problem),
        headDimQk: problem.headDimQk,
        headDimV: problem.headDimV,
        pageSize: problem.pageSize,
        queryAlignment: problem.q.alignment,
        keyAlignment: problem.kCache.alignment,
        mergeRows: merge?.rows,
        mergeLooksAhead: merge?.looksAhead,
        combineWarps: combines ? combineWarpsPerRow(problem, limits, 'f32') : 0,
        combineSplits: combines ? combineSplitsAtOnce(problem) : 0,
      };
    },

    plan(problem, limits) {
      const tile = denseTile(problem, limits);
      const merge = mergeOf(problem, tile);
      const { grid, splits } = sizesOf(problem, tile, merge);
      const main: MainLaunch = {
        kernel: denseDecodeSpec,
        config: {
          tile,
          stored: problem.dtype,
          outElement: problem.outDtype,
          pageSize: problem.pageSize,
          queryAlignment: asAlignment(problem.q.alignment),
          keyAlignment: asAlignment(problem.kCache.alignment),
          ...(merge && { merge }),
        },
        grid,
        overlap: limits.sm >= 90,
      };
      if (merge === undefined) return planWithCombine(main, splits, combineOf(problem, limits));
      return { launches: { main }, splits, workspaceBytes: splits.workspaceBytes };
    },

    bind(context, { launches }) {
      const main = context.prepare(launches.main);
      const { set } = main;
      const { tile, merge } = launches.main.config;
      const setDense = denseSetter(context, main);
      const enqueue = bindDecode(context, main, launches.combine);
      return (args, problem, call) => {
        const sizes = sizesOf(problem, tile, merge);
        setDense(args, problem);
        set.kCache(context.address(args.kCache));
        set.kStrides(problem.kCache.strides);
        set.descaleQ(context.address(args.descaleQ));
        set.descaleK(context.address(args.descaleK));
        set.arrivals(sizes.arrivals > 0 ? call.counters(sizes.arrivals) : 0);
        enqueue(args, problem, sizes, call);
      };
    },

    traits(shape, limits) {
      const { rows } = denseTile(denseShapeOf(shape), limits);
      return planSchedule(shape.problem, { rowsPerTile: rows, ctasPerSm: 1 }, limits);
    },
  } satisfies DenseKernel<MainLaunch>;
}

/** Dense decoding on tensor cores, from sm_80 up. */
export const portableDenseDecode = denseDecodeKernel();

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
