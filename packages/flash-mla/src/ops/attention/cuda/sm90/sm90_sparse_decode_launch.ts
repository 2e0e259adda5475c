import type { Grid } from '../../../../runtime/cuda/driver/driver.ts';
import type { CudaKernel, KernelSpec, LaunchPlan } from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import type { SparseDecodeArgs } from '../../contract.ts';
import { sparseDecode } from '../../operations.ts';
import type { DecodeShape, SchedulePlan } from '../../schedule-contract.ts';
import { bindDecode, type DecodePlan, planWithCombine } from '../decode_launch.ts';
import { sparseShapeOf } from '../decode-shape.ts';
import { blockTokens } from '../pieces.ts';
import { sparseDecodeProblem } from '../problem-of.ts';
import type { SparseCacheProblem, SparseDecodeProblem, SparseDecodeShape } from '../problems.ts';
import { planSchedule } from '../schedule.ts';
import {
  combineSplitsAtOnce,
  combineWarpsPerRow,
  planCombine,
  planSplits,
} from '../sm80_combine_launch.ts';
import { headDimQk, headDimV, tileRows } from './dense/tile.ts';
import { buildHopperSparseDecode, type HopperSparseDecodeConfig } from './sm90_sparse_decode.ts';
import type { SparseParams } from './sparse/params.ts';
import { model1RowBytes, type SparseLayout } from './sparse/tile.ts';

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
const cacheBytes = 2 ** 31 * unit;
const headDims = { v32: headDimQk, model1: 512, bf16: headDimQk } as const;

/** Bytes between blocks and between tokens. */
function stridesOf(layout: SparseLayout, { kCache }: Pick<SparseCacheProblem, 'kCache'>) {
  const [perBlock = 0, perToken = 0] = kCache.strides;
  if (layout === 'bf16') return [2 * perBlock, 2 * perToken] as const;
  return [perBlock, layout === 'model1' ? model1RowBytes : perToken] as const;
}

/** Whether rows can be read 16 bytes at a time, and be named by 32 bits. */
function readsRows(layout: SparseLayout, cache: SparseCacheProblem): boolean {
  const { kCache, numBlocks, pageSize } = cache;
  const [blockStride, tokenStride] = stridesOf(layout, cache);
  const end = Math.max(0, numBlocks - 1) * blockStride + pageSize * tokenStride;
  return kCache.alignment >= unit && end < cacheBytes && numBlocks * pageSize < 2 ** 31;
}

/** What the kernel can run, whether or not another one is faster. */
export function runs({ layout, main, extra, ...shape }: SparseDecodeShape): boolean {
  return (
    shape.headDimQk === headDims[layout] &&
    shape.headDimV === headDimV &&
    shape.q.alignment >= 16 &&
    readsRows(layout, main) &&
    (extra === undefined || readsRows(layout, extra))
  );
}

/**
 * Where it was measured to be faster. `model1` rows are left to the portable kernel, and second caches, with
 * which the producer spills; bf16 rows have not been measured.
 */
function accepts(shape: SparseDecodeShape): boolean {
  return (
    shape.layout === 'v32' &&
    shape.extra === undefined &&
    shape.numHeadsQ > portableHeads &&
    runs(shape)
  );
}

/** How the kernel wants the work of a call to be cut. */
export function scheduleOf(shape: DecodeShape, limits: DeviceLimits): SchedulePlan {
  return planSchedule(shape.problem, { rowsPerTile: tileRows, ctasPerSm: 1 }, limits);
}

function splitsOf(problem: SparseDecodeProblem) {
  const blocks = (topk: number) => Math.ceil(topk / blockTokens);
  const maxBlocks = Math.max(1, blocks(problem.main.topk)) + blocks(problem.extra?.topk ?? 0);
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
      layout: problem.layout,
      pageSize: problem.main.pageSize,
      extraPageSize: problem.extra?.pageSize ?? 0,
      hasSink: problem.hasAttnSink,
      combineWarps: isSplit ? combineWarpsPerRow(problem, limits, 'f16') : 0,
      combineSplits: isSplit ? combineSplitsAtOnce(problem) : 0,
    };
  },

  plan(problem, limits) {
    const { layout, main, extra, hasAttnSink: hasSink } = problem;
    const pages = { pageSize: main.pageSize, extraPageSize: extra?.pageSize ?? 0 };
    const launch: MainLaunch = {
      kernel: hopperSparseDecodeSpec,
      config: { layout, ...pages, hasSink, prefetches: false },
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
    const { layout } = launches.main.config;
    const unitsOf = (cache: Pick<SparseCacheProblem, 'kCache'>) =>
      stridesOf(layout, cache).map((stride) => stride / unit);
    return (args, problem, call) => {
      set.q(context.address(args.q));
      set.qStrides(problem.q.strides);
      set.sink(context.address(args.attnSink));

      const cache = problem.main;
      set.mainCache(context.address(args.main.kCache));
      set.mainStrides(unitsOf(cache));
      set.mainTokens(cache.numBlocks * cache.pageSize);
      set.mainIndices(context.address(args.main.indices));
      set.mainIndexStrides(cache.indices.strides);
      set.mainTopk(cache.topk);
      set.mainLengths(context.address(args.main.topkLength));

      const extra = problem.extra ?? noCache;
      set.extraCache(context.address(args.extra?.kCache));
      set.extraStrides(unitsOf(extra));
      set.extraTokens(extra.numBlocks * extra.pageSize);
      set.extraIndices(context.address(args.extra?.indices));
      set.extraIndexStrides(extra.indices.strides);
      set.extraTopk(extra.topk);
      set.extraLengths(context.address(args.extra?.topkLength));
      enqueue(args, problem, { grid: gridOf(problem), splits: splitsOf(problem) }, call);
    };
  },

  traits(shape, limits) {
    return accepts(sparseShapeOf(shape)) ? scheduleOf(shape, limits) : undefined;
  },
} satisfies CudaKernel<
  SparseDecodeArgs,
  SparseDecodeProblem,
  DecodePlan<MainLaunch>,
  DecodeShape,
  SchedulePlan
>;

const noStrides = { strides: [0, 0], alignment: 16 } as const;
const noCache = { topk: 0, numBlocks: 0, pageSize: 0, kCache: noStrides, indices: noStrides };
