import type { TensorMapDescription } from '@flash-mla/ptx';
import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import type { SparsePrefillArgs } from '../../contract.ts';
import { sparsePrefill } from '../../operations.ts';
import { setPrefill } from '../prefill_launch.ts';
import { sparsePrefillProblem } from '../problem-of.ts';
import type { SparsePrefillProblem } from '../problems.ts';
import { headDimQk, headDimV, tileColumns, tileRows } from './dense/tile.ts';
import type { PrefillParams } from './prefill/params.ts';
import { buildHopperSparsePrefill, type HopperSparsePrefillConfig } from './sm90_sparse_prefill.ts';

export const hopperSparsePrefillSpec: KernelSpec<HopperSparsePrefillConfig, PrefillParams> = {
  name: 'sm90_sparse_prefill',
  architectureSpecific: true,
  build: buildHopperSparsePrefill,
};

interface HopperPrefillPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<HopperSparsePrefillConfig, PrefillParams> };
}

/** Heads of a KV head up to which the portable kernel has a tile that is less padded. */
const portableHeads = 32;

/** The tiles that the query heads of a KV head fill, those of a query, and CTAs. */
function sizesOf({ seqLenQ, numHeadsQ, numHeadsKv }: SparsePrefillProblem, limits: DeviceLimits) {
  const tilesPerGroup = Math.ceil(numHeadsQ / numHeadsKv / tileRows);
  const tilesPerQuery = tilesPerGroup * numHeadsKv;
  const grid = [Math.min(limits.smCount, seqLenQ * tilesPerQuery), 1, 1] as const;
  return { tilesPerGroup, tilesPerQuery, grid };
}

/** Token-sparse prefill of many heads on warp groups. */
export const hopperSparsePrefill = {
  operation: sparsePrefill,
  problemOf: sparsePrefillProblem,

  accepts(problem) {
    const { q, kv, numHeadsQ, numHeadsKv, seqLenQ, seqLenKv, topk } = problem;
    return (
      (problem.headDimQk === 512 || problem.headDimQk === headDimQk) &&
      problem.headDimV === headDimV &&
      numHeadsQ / numHeadsKv > portableHeads &&
      [seqLenQ, seqLenKv, topk].every((n) => n > 0) &&
      seqLenQ * numHeadsQ < 2 ** 31 &&
      [q, kv].every(({ alignment }) => alignment >= 16) &&
      q.strides.every((stride) => stride * 2 < 2 ** 40) &&
      (kv.strides[0] ?? 0) < 2 ** 31
    );
  },

  keyOf: ({ headDimQk, hasAttnSink }) => ({ headDimQk, hasSink: hasAttnSink }),

  plan(problem, limits) {
    const config: HopperSparsePrefillConfig = {
      headDimQk: problem.headDimQk as HopperSparsePrefillConfig['headDimQk'],
      hasSink: problem.hasAttnSink,
    };
    const { grid } = sizesOf(problem, limits);
    return {
      launches: { main: { kernel: hopperSparsePrefillSpec, config, grid } },
      workspaceBytes: 0,
    };
  },

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    const { limits } = context;
    return (args, problem, call) => {
      const { tilesPerGroup, tilesPerQuery, grid } = sizesOf(problem, limits);
      const [rowStride = 0, headStride = 0] = problem.kv.strides;
      setPrefill(set, context, args, problem);
      set.q(queryMap(problem, context.address(args.q)));
      set.rowStride(rowStride);
      set.headStride(headStride);
      set.seqLenQ(problem.seqLenQ);
      set.tilesPerGroup(tilesPerGroup);
      set.tilesPerQuery(tilesPerQuery);
      main.enqueue(call, grid);
    };
  },
} satisfies CudaKernel<SparsePrefillArgs, SparsePrefillProblem, HopperPrefillPlan>;

/** Queries as tiles of 64 columns, of 64 heads. */
function queryMap(
  { q, numHeadsQ, seqLenQ, headDimQk: columns }: SparsePrefillProblem,
  address: number,
): TensorMapDescription {
  const [queryStride = 0, headStride = 0] = q.strides;
  return {
    element: 'bf16',
    address,
    dims: [tileColumns, numHeadsQ, seqLenQ, columns / tileColumns],
    strides: [headStride * 2, queryStride * 2, tileColumns * 2],
    box: [tileColumns, tileRows, 1, columns / tileColumns],
    swizzle: '128B',
    l2Promotion: '128B',
  };
}
