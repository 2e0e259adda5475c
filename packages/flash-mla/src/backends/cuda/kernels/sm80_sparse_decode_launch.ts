import type { KvRowLayout, ScheduleProblem, SparseDecodeArgs } from '../../backend.ts';
import type { DecodeOperation, KernelSpec, LaunchPlan } from '../kernel-family.ts';
import type { DeviceLimits } from '../limits.ts';
import type { SparseDecodeProblem } from '../problems.ts';
import { bindDecode, type DecodePlan, decodeInputs, planWithCombine } from './decode_launch.ts';
import { chooseTile } from './mla/choose-tile.ts';
import { asAlignment } from './mla/copy.ts';
import { packedFormats, packedSlots } from './mla/packed-formats.ts';
import { blockTokens } from './mla/pieces.ts';
import type { MlaTile } from './mla/tile.ts';
import { planCombine, planSplits } from './sm80_combine_launch.ts';
import {
  buildSparseDecode,
  type SparseDecodeConfig,
  type SparseDecodeParams,
} from './sm80_sparse_decode.ts';

export const sparseDecodeSpec: KernelSpec<SparseDecodeConfig, SparseDecodeParams> = {
  name: 'sm80_sparse_decode',
  build: buildSparseDecode,
};

type SparseDecodePlan = DecodePlan<LaunchPlan<SparseDecodeConfig, SparseDecodeParams>>;

function sparseTile(
  { numHeadsQ, headDimQk, headDimV }: Pick<ScheduleProblem, 'numHeadsQ' | 'headDimQk' | 'headDimV'>,
  layout: KvRowLayout,
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

const noCache = { topk: 0, strides: [0, 0], tokens: 0 } as const;

function cacheValues(cache: SparseDecodeProblem['extra']) {
  if (cache === undefined) return { ...noCache, indexStrides: [0, 0] };
  return {
    topk: cache.topk,
    strides: cache.kCache.strides,
    tokens: cache.numBlocks * cache.pageSize,
    indexStrides: cache.indices.strides,
  };
}

/** Token-sparse decoding on tensor cores, from sm_80 up. */
export const sparseDecode: DecodeOperation<SparseDecodeProblem, SparseDecodeArgs> = {
  tiling(problem, limits) {
    const packed = problem.headDimQk === 512 ? 'model1' : 'v32';
    const { rows } = sparseTile(problem, problem.isFp8 ? packed : 'bf16', limits);
    return { rowsPerTile: rows, ctasPerSm: 1 };
  },

  plan(problem, limits): SparseDecodePlan {
    const { layout, batch, seqLenQ, numHeadsQ, headDimV, main, extra, plan, hasAttnSink } = problem;
    const tile = sparseTile(problem, layout, limits);
    const keyAlignment = Math.min(main.kCache.alignment, extra?.kCache.alignment ?? 16);
    const config: SparseDecodeConfig = {
      tile,
      layout,
      pageSize: main.pageSize,
      extraPageSize: extra?.pageSize ?? 0,
      hasSink: hasAttnSink,
      queryAlignment: asAlignment(problem.q.alignment),
      keyAlignment: asAlignment(keyAlignment),
    };
    const headTiles = Math.ceil(numHeadsQ / tile.rows);
    const mainLaunch: SparseDecodePlan['launches']['main'] = {
      kernel: sparseDecodeSpec,
      config,
      grid: batch === 0 ? [0, 0, 0] : [seqLenQ, headTiles, plan.numParts],
    };
    const blocks = (topk: number) => Math.ceil(topk / blockTokens);
    const maxBlocks = Math.max(1, blocks(main.topk)) + blocks(extra?.topk ?? 0);
    const splits = planSplits(problem, plan, maxBlocks, 'f32');
    const combineConfig = {
      outElement: 'bf16',
      headDimV,
      hasSink: hasAttnSink,
      partial: 'f32',
    } as const;
    const combine = planCombine(combineConfig, problem, limits);
    return planWithCombine(mainLaunch, splits, combine);
  },

  bind(context, anyPlan, problem) {
    const plan = anyPlan as SparseDecodePlan;
    const mainCache = cacheValues(problem.main);
    const extraCache = cacheValues(problem.extra);
    const main = context.prepare(plan.launches.main, {
      ...decodeInputs(problem, plan.splits),
      q: 0,
      mainCache: 0,
      mainIndices: 0,
      mainLengths: 0,
      extraCache: 0,
      extraIndices: 0,
      extraLengths: 0,
      sink: 0,
      qStrides: problem.q.strides,
      mainStrides: mainCache.strides,
      extraStrides: extraCache.strides,
      mainIndexStrides: mainCache.indexStrides,
      extraIndexStrides: extraCache.indexStrides,
      mainTopk: mainCache.topk,
      extraTopk: extraCache.topk,
      mainTokens: mainCache.tokens,
      extraTokens: extraCache.tokens,
    });
    const q = main.setter('q');
    const mainKeys = main.setter('mainCache');
    const mainIndices = main.setter('mainIndices');
    const mainLengths = main.setter('mainLengths');
    const extraKeys = main.setter('extraCache');
    const extraIndices = main.setter('extraIndices');
    const extraLengths = main.setter('extraLengths');
    const sink = main.setter('sink');
    const enqueue = bindDecode(context, main, plan, problem);
    return (args) => {
      q(context.address(args.q));
      mainKeys(context.address(args.main.kCache));
      mainIndices(context.address(args.main.indices));
      mainLengths(context.address(args.main.topkLength));
      extraKeys(context.address(args.extra?.kCache));
      extraIndices(context.address(args.extra?.indices));
      extraLengths(context.address(args.extra?.topkLength));
      sink(context.address(args.attnSink));
      enqueue(args);
    };
  },
};
