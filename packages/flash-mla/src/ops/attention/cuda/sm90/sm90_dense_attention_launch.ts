import type { TensorMapDescription } from '@flash-mla/ptx';
import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import type { Placement } from '../../../../runtime/cuda/placement.ts';
import type { DenseAttentionArgs } from '../../contract.ts';
import { denseAttention } from '../../operations.ts';
import { denseAttentionProblem } from '../problem-of.ts';
import type { DenseAttentionProblem } from '../problems.ts';
import type { HopperMhaParams } from './attention/params.ts';
import { boxTokens, type HopperMhaConfig, tileColumns, tileRows } from './attention/tile.ts';
import { tileQueries } from './attention/work.ts';
import { buildHopperDenseAttention } from './sm90_dense_attention.ts';

export const hopperDenseAttentionSpec: KernelSpec<HopperMhaConfig, HopperMhaParams> = {
  name: 'sm90_dense_attention',
  architectureSpecific: true,
  build: buildHopperDenseAttention,
};

interface HopperAttentionPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<HopperMhaConfig, HopperMhaParams> };
}

/** Lengths stay so far below 2^31 that rounding them up to blocks does not overflow. */
const longest = 2 ** 31 - 1024;

/** Keys of a block, by head dimensions: what registers and shared memory hold. */
const blockTokens: Readonly<Record<string, { readonly any: number; readonly paged: number }>> = {
  '128/128': { any: 128, paged: 128 },
  '192/128': { any: 128, paged: 128 },
  '256/256': { any: 80, paged: 64 },
};

const dimsOf = ({ headDimQk, headDimV }: DenseAttentionProblem) => `${headDimQk}/${headDimV}`;

const groupSizeOf = ({ numHeadsQ, numHeadsKv }: DenseAttentionProblem) => numHeadsQ / numHeadsKv;

/** The fewest rows of a request for which tiles of 128 are not mostly empty. */
const fewestRows = 64;
/** Tokens of the smallest page that is worth a tensor copy of its own. */
const smallestPage = 16;

/** Bytes of keys and values that the second-level cache holds beside everything else. */
const cachedBytes = 24 * 2 ** 20;

function configOf(problem: DenseAttentionProblem): HopperMhaConfig {
  const { keys, dtype, headDimQk, headDimV, hasCuSeqlensQ, pageSize } = problem;
  const tokens = blockTokens[dimsOf(problem)]?.[keys === 'paged' ? 'paged' : 'any'] ?? 0;
  const groupSize = groupSizeOf(problem);
  const heads = Math.min(tileRows, groupSize & -groupSize);
  return {
    tile: { element: dtype, headDimQk, headDimV, tokens, heads },
    hasCuSeqlensQ,
    keys,
    pageSize: keys === 'paged' ? pageSize : 0,
  };
}

/** Whether tensor copies can bring pages. */
function mapsPages({ pageSize, numBlocks, maxBlocks }: DenseAttentionProblem, tokens: number) {
  const isMultiple = pageSize % tokens === 0 || tokens % pageSize === 0;
  return isMultiple && pageSize >= smallestPage && numBlocks > 0 && maxBlocks > 0;
}

const isMapped = ({ strides, alignment }: Placement): boolean =>
  alignment >= 16 && strides.every((stride) => stride * 2 < 2 ** 40);

function sizesOf(problem: DenseAttentionProblem, config: HopperMhaConfig, limits: DeviceLimits) {
  const { numHeadsQ, batch, totalQ, maxSeqLenQ, maxSeqLenK, headDimQk, headDimV } = problem;
  const units = numHeadsQ / config.tile.heads;
  const queries = tileQueries(config);
  const most = Math.min(
    batch * Math.ceil(maxSeqLenQ / queries),
    Math.floor(totalQ / queries) + batch,
  );
  const headBytes = Math.max(1, maxSeqLenK) * (headDimQk + headDimV) * 2;
  const headsCached = Math.max(1, Math.floor(cachedBytes / headBytes));
  const unitsPerHead = groupSizeOf(problem) / config.tile.heads;
  return {
    units,
    unitsPerSection: Math.min(units, headsCached * unitsPerHead),
    grid: [Math.min(limits.smCount, most * units), 1, 1] as const,
  };
}

/** Dense MHA and GQA on warp groups, for the head dimensions that models have. */
export const hopperDenseAttention = {
  operation: denseAttention,
  problemOf: denseAttentionProblem,

  accepts(problem) {
    const { q, k, v, keys, totalQ, totalK, maxSeqLenQ, numBlocks, pageSize } = problem;
    const tokens = blockTokens[dimsOf(problem)];
    if (tokens === undefined || totalQ === 0) return false;
    if (maxSeqLenQ * groupSizeOf(problem) < fewestRows) return false;
    if (![q, k, v].every(isMapped)) return false;
    if (keys === 'paged') return mapsPages(problem, tokens.paged);
    return keys === 'packed' ? totalK > 0 : numBlocks > 0 && pageSize > 0;
  },

  keyOf(problem) {
    const { tile, hasCuSeqlensQ, keys, pageSize } = configOf(problem);
    return { ...tile, hasCuSeqlensQ, keys, pageSize };
  },

  plan(problem, limits) {
    const config = configOf(problem);
    const { grid } = sizesOf(problem, config, limits);
    return {
      launches: { main: { kernel: hopperDenseAttentionSpec, config, grid } },
      workspaceBytes: 0,
    };
  },

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    const { config } = launches.main;
    const { limits } = context;
    return (args, problem, call) => {
      const { units, unitsPerSection, grid } = sizesOf(problem, config, limits);
      set.q(queryMap(problem, config, context.address(args.q)));
      set.k(keyMap(problem, config, 'k', context.address(args.k)));
      set.v(keyMap(problem, config, 'v', context.address(args.v)));
      set.cuSeqlensQ(context.address(args.cuSeqlensQ));
      set.lengthQ(problem.maxSeqLenQ);
      set.lengthsK(context.address(args.seqlensK ?? args.cuSeqlensK));
      set.capacity(Math.min(longest, capacityOf(problem)));
      set.blockTable(context.address(args.blockTable));
      set.blockTableStride(problem.blockTableStride);
      set.numBlocks(problem.numBlocks);
      set.out(context.address(args.out));
      set.lse(context.address(args.lse));
      set.totalQ(problem.totalQ);
      set.numHeadsQ(problem.numHeadsQ);
      set.groupSize(groupSizeOf(problem));
      set.batch(problem.batch);
      set.units(units);
      set.unitsPerSection(unitsPerSection);
      set.taken(call.counters(1));
      set.causal(problem.causal ? 1 : 0);
      set.scale(problem.softmaxScale * Math.LOG2E);
      main.enqueue(call, grid);
    };
  },
} satisfies CudaKernel<DenseAttentionArgs, DenseAttentionProblem, HopperAttentionPlan>;

/** The most keys that a request can have. */
function capacityOf({ keys, totalK, maxBlocks, pageSize }: DenseAttentionProblem): number {
  if (keys === 'packed') return totalK;
  return (keys === 'paged' ? maxBlocks : 1) * pageSize;
}

const common = { swizzle: '128B', l2Promotion: '128B' } as const;
/** Bytes between the tiles of columns of a row. */
const columnBytes = tileColumns * 2;

/** Queries as tiles of 64 columns, of some heads at a time. */
function queryMap(
  { q, numHeadsQ, totalQ, headDimQk, dtype }: DenseAttentionProblem,
  config: HopperMhaConfig,
  address: number,
): TensorMapDescription {
  const [tokenStride = 0, headStride = 0] = q.strides;
  const columns = headDimQk / tileColumns;
  return {
    ...common,
    element: dtype,
    address,
    dims: [tileColumns, numHeadsQ, totalQ, columns],
    strides: [headStride * 2, tokenStride * 2, columnBytes],
    box: [tileColumns, config.tile.heads, tileQueries(config), columns],
  };
}

/** Keys or values as tiles of 64 columns, of one head. */
function keyMap(
  problem: DenseAttentionProblem,
  config: HopperMhaConfig,
  which: 'k' | 'v',
  address: number,
): TensorMapDescription {
  const { keys, totalK, pageSize, numBlocks, numHeadsKv, headDimQk, headDimV, dtype } = problem;
  const { strides } = problem[which];
  const [blockStride = 0, tokenStride = 0, headStride = 0] =
    keys === 'packed' ? [0, ...strides] : strides;
  const columns = (which === 'k' ? headDimQk : headDimV) / tileColumns;
  const tokens = boxTokens(config);
  const tokensAndBlocks = keys === 'packed' ? [totalK, 1] : [pageSize, numBlocks];
  const [rows = 1, blocks = 1] = tokensAndBlocks;
  return {
    ...common,
    element: dtype,
    address,
    dims: [tileColumns, rows, numHeadsKv, blocks, columns],
    strides: [tokenStride * 2, headStride * 2, blockStride * 2, columnBytes],
    box: [tileColumns, tokens, 1, 1, tokens === config.tile.tokens ? columns : 1],
  };
}
