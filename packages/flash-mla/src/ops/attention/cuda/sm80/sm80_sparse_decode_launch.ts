import type { CudaKernel, KernelSpec, LaunchPlan } from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import { packedFormats, packedSlots } from '../../../kernel-lib/cuda/packed-formats.ts';
import { asAlignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import type { SparseDecodeArgs } from '../../contract.ts';
import { sparseDecode } from '../../operations.ts';
import type { DecodeShape, SchedulePlan } from '../../schedule-contract.ts';
import { bindDecode, type DecodePlan, planWithCombine } from '../decode_launch.ts';
import { sparseShapeOf } from '../decode-shape.ts';
import { blockTokens } from '../pieces.ts';
import { sparseDecodeProblem } from '../problem-of.ts';
import type { SparseDecodeProblem, SparseDecodeShape } from '../problems.ts';
import { planSchedule } from '../schedule.ts';
import {
  combineSplitsAtOnce,
  combineWarpsPerRow,
  planCombine,
  planSplits,
} from '../sm80_combine_launch.ts';
import { chooseTile } from './mla/choose-tile.ts';
import type { MlaTile } from './mla/tile.ts';
import {
  buildSparseDecode,
  type SparseDecodeConfig,
  type SparseDecodeParams,
} from './sm80_sparse_decode.ts';

export const sparseDecodeSpec: KernelSpec<SparseDecodeConfig, SparseDecodeParams> = {
  name: 'sm80_sparse_decode',
  build: buildSparseDecode,
};

type MainLaunch = LaunchPlan<SparseDecodeConfig, SparseDecodeParams>;

function sparseTile(
  { layout, numHeadsQ, headDimQk, headDimV }: SparseDecodeShape,
  limits: DeviceLimits,
): MlaTile {
  return chooseTile(
    {
      element: 'bf16',
      headDimQk,
      headDimV,
      rows: numHeadsQ,
      gathered: true,
      packedSlots: (threads) =>
        layout === 'bf16' ? 0 : packedSlots(packedFormats[layout], threads).all,
    },
    limits,
  );
}

function splitsOf(problem: SparseDecodeProblem) {
  const { main, extra, plan } = problem;
  const blocks = (topk: number) => Math.ceil(topk / blockTokens);
  const maxBlocks = Math.max(1, blocks(main.topk)) + blocks(extra?.topk ?? 0);
  return planSplits(problem, plan, maxBlocks, 'f32');
}

function combineOf(problem: SparseDecodeProblem, limits: DeviceLimits) {
  const { headDimV, hasAttnSink: hasSink } = problem;
  const results = { outElement: 'bf16', headDimV, hasSink, partial: 'f32' } as const;
  return planCombine(results, problem, limits);
}

function gridOf({ batch, seqLenQ, numHeadsQ, plan }: SparseDecodeProblem, { rows }: MlaTile) {
  if (batch === 0) return [0, 0, 0] as const;
  return [seqLenQ, Math.ceil(numHeadsQ / rows), plan.numParts] as const;
}

const keyAlignmentOf = ({ main, extra }: SparseDecodeProblem) =>
  Math.min(main.kCache.alignment, extra?.kCache.alignment ?? 16);

/** Token-sparse decoding on tensor cores, from sm_80 up. */
export const portableSparseDecode = {
  operation: sparseDecode,
  problemOf: sparseDecodeProblem,

  keyOf(problem, limits) {
    const isSplit = splitsOf(problem).slots > 0;
    return {
      layout: problem.layout,
      numHeadsQ: problem.numHeadsQ,
      headDimQk: problem.headDimQk,
      headDimV: problem.headDimV,
      pageSize: problem.main.pageSize,
      extraPageSize: problem.extra?.pageSize,
      hasSink: problem.hasAttnSink,
      queryAlignment: problem.q.alignment,
      keyAlignment: keyAlignmentOf(problem),
      combineWarps: isSplit ? combineWarpsPerRow(problem, limits, 'f32') : 0,
      combineSplits: isSplit ? combineSplitsAtOnce(problem) : 0,
    };
  },

  plan(problem, limits) {
    const { layout, main, extra, hasAttnSink } = problem;
    const tile = sparseTile(problem, limits);
    const config: SparseDecodeConfig = {
      tile,
      layout,
      pageSize: main.pageSize,
      extraPageSize: extra?.pageSize ?? 0,
      hasSink: hasAttnSink,
      queryAlignment: asAlignment(problem.q.alignment),
      keyAlignment: asAlignment(keyAlignmentOf(problem)),
    };
    const launch: MainLaunch = { kernel: sparseDecodeSpec, config, grid: gridOf(problem, tile) };
    return planWithCombine(launch, splitsOf(problem), combineOf(problem, limits));
  },

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    const { tile } = launches.main.config;
    const enqueue = bindDecode(context, main, launches.combine);
    return (args, problem, call) => {
      set.q(context.address(args.q));
      set.qStrides(problem.q.strides);
      set.sink(context.address(args.attnSink));

      const cache = problem.main;
      set.mainCache(context.address(args.main.kCache));
      set.mainStrides(cache.kCache.strides);
      set.mainTokens(cache.numBlocks * cache.pageSize);
      set.mainIndices(context.address(args.main.indices));
      set.mainIndexStrides(cache.indices.strides);
      set.mainTopk(cache.topk);
      set.mainLengths(context.address(args.main.topkLength));

      const extra = problem.extra ?? noCache;
      set.extraCache(context.address(args.extra?.kCache));
      set.extraStrides(extra.kCache.strides);
      set.extraTokens(extra.numBlocks * extra.pageSize);
      set.extraIndices(context.address(args.extra?.indices));
      set.extraIndexStrides(extra.indices.strides);
      set.extraTopk(extra.topk);
      set.extraLengths(context.address(args.extra?.topkLength));

      enqueue(args, problem, { grid: gridOf(problem, tile), splits: splitsOf(problem) }, call);
    };
  },

  traits(shape, limits) {
    const { rows } = sparseTile(sparseShapeOf(shape), limits);
    return planSchedule(shape.problem, { rowsPerTile: rows, ctasPerSm: 1 }, limits);
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
