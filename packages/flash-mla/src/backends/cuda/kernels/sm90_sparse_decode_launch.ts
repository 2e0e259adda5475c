import type { SparseDecodeArgs } from '../../../attention/contract.ts';
import { sparseDecode } from '../../../attention/operations.ts';
import type { DecodeShape, SchedulePlan } from '../../../attention/schedule-contract.ts';
import type { Grid } from '../driver/driver.ts';
import type { CudaKernel, KernelSpec, LaunchPlan } from '../kernel.ts';
import type { SparseCacheProblem, SparseDecodeProblem, SparseDecodeShape } from '../problems.ts';
import { planSchedule } from '../schedule.ts';
import { bindDecode, type DecodePlan, planWithCombine } from './decode_launch.ts';
import { sparseShapeOf } from './decode-shape.ts';
import { headDimQk, headDimV, tileRows } from './hopper/tile.ts';
import type { SparseParams } from './hopper-sparse/params.ts';
import { blockTokens } from './mla/pieces.ts';
import { sparseDecodeProblem } from './problem-of.ts';
import {
  combineSplitsAtOnce,
  combineWarpsPerRow,
  planCombine,
  planSplits,
} from './sm80_combine_launch.ts';
import { buildHopperSparseDecode, type HopperSparseDecodeConfig } from './sm90_sparse_decode.ts';

export const hopperSparseDecodeSpec: KernelSpec<HopperSparseDecodeConfig, SparseParams> = {
  name: 'sm90_sparse_decode',
  architectureSpecific: true,
  build: buildHopperSparseDecode,
};

type MainLaunch = LaunchPlan<HopperSparseDecodeConfig, SparseParams>;

/** Heads up to which the portable kernel has a tile that is less padded. */
const portableHeads = 32;
/** Rows are named by 32 bits, in units of 16 bytes. */
const unit = 16;
const cacheBytes = 2 ** 32 * unit;

/** Whether rows can be read 16 bytes at a time, and be named by 32 bits. */
function readsRows({ kCache, numBlocks, pageSize }: SparseCacheProblem): boolean {
  const [blockStride = 0, tokenStride = 0] = kCache.strides;
  const end = Math.max(0, numBlocks - 1) * blockStride + pageSize * tokenStride;
  return kCache.alignment >= unit && end < cacheBytes && numBlocks * pageSize < 2 ** 31;
}

const accepts = (shape: SparseDecodeShape): boolean =>
  shape.layout === 'v32' &&
  shape.headDimQk === headDimQk &&
  shape.headDimV === headDimV &&
  shape.numHeadsQ > portableHeads &&
  shape.extra === undefined &&
  shape.q.alignment >= 16 &&
  readsRows(shape.main);

function splitsOf(problem: SparseDecodeProblem) {
  const maxBlocks = Math.max(1, Math.ceil(problem.main.topk / blockTokens));
  return planSplits(problem, problem.plan, maxBlocks, 'f16');
}

function gridOf({ batch, seqLenQ, numHeadsQ, plan }: SparseDecodeProblem): Grid {
  if (batch === 0) return [0, 0, 0];
  return [Math.ceil(numHeadsQ / tileRows), seqLenQ, plan.numParts];
}

/** Token-sparse decoding on Hopper's warp groups. */
export const hopperSparseDecode = {
  operation: sparseDecode,
  problemOf: sparseDecodeProblem,
  accepts,

  keyOf(problem, limits) {
    const isSplit = splitsOf(problem).slots > 0;
    return {
      pageSize: problem.main.pageSize,
      hasSink: problem.hasAttnSink,
      combineWarps: isSplit ? combineWarpsPerRow(problem, limits, 'f16') : 0,
      combineSplits: isSplit ? combineSplitsAtOnce(problem) : 0,
    };
  },

  plan(problem, limits) {
    const { main, hasAttnSink: hasSink } = problem;
    const launch: MainLaunch = {
      kernel: hopperSparseDecodeSpec,
      config: { pageSize: main.pageSize, hasSink, prefetches: true },
      grid: gridOf(problem),
      overlap: true,
    };
    const results = { outElement: 'bf16', headDimV, hasSink, partial: 'f16' } as const;
    const combine = planCombine({ ...results, overlaps: true }, problem, limits);
    return planWithCombine(launch, splitsOf(problem), combine);
  },

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    const enqueue = bindDecode(context, main, launches.combine);
    return (args, problem, call) => {
      const cache = problem.main;
      set.q(context.address(args.q));
      set.qStrides(problem.q.strides);
      set.sink(context.address(args.attnSink));
      set.mainCache(context.address(args.main.kCache));
      set.mainStrides(cache.kCache.strides.map((stride) => stride / unit));
      set.mainTokens(cache.numBlocks * cache.pageSize);
      set.mainIndices(context.address(args.main.indices));
      set.mainIndexStrides(cache.indices.strides);
      set.mainTopk(cache.topk);
      set.mainLengths(context.address(args.main.topkLength));
      enqueue(args, problem, { grid: gridOf(problem), splits: splitsOf(problem) }, call);
    };
  },

  traits(shape, limits) {
    if (!accepts(sparseShapeOf(shape))) return undefined;
    return planSchedule(shape.problem, { rowsPerTile: tileRows, ctasPerSm: 1 }, limits);
  },
} satisfies CudaKernel<
  SparseDecodeArgs,
  SparseDecodeProblem,
  DecodePlan<MainLaunch>,
  DecodeShape,
  SchedulePlan
>;
