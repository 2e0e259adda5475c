import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../../runtime/cuda/kernel.ts';
import { asAlignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import type { SparsePrefillArgs } from '../../contract.ts';
import { sparsePrefill } from '../../operations.ts';
import { setPrefill } from '../prefill_launch.ts';
import { sparsePrefillProblem } from '../problem-of.ts';
import type { SparsePrefillProblem } from '../problems.ts';
import { chooseTile } from './mla/choose-tile.ts';
import {
  buildSparsePrefill,
  type SparsePrefillConfig,
  type SparsePrefillParams,
} from './sm80_sparse_prefill.ts';

export const sparsePrefillSpec: KernelSpec<SparsePrefillConfig, SparsePrefillParams> = {
  name: 'sm80_sparse_prefill',
  build: buildSparsePrefill,
};

interface SparsePrefillPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<SparsePrefillConfig, SparsePrefillParams> };
}

/** The tiles that the query heads of a KV head fill, and CTAs. */
function sizesOf({ seqLenQ, numHeadsQ, numHeadsKv }: SparsePrefillProblem, rowsPerTile: number) {
  const tiles = Math.ceil(numHeadsQ / numHeadsKv / rowsPerTile);
  return { tiles, grid: [seqLenQ * tiles, numHeadsKv, 1] as const };
}

/** Token-sparse prefill on tensor cores, from sm_80 up. */
export const portableSparsePrefill = {
  operation: sparsePrefill,
  problemOf: sparsePrefillProblem,

  keyOf: (problem) => ({
    groupSize: problem.numHeadsQ / problem.numHeadsKv,
    headDimQk: problem.headDimQk,
    headDimV: problem.headDimV,
    hasSink: problem.hasAttnSink,
    queryAlignment: problem.q.alignment,
    keyAlignment: problem.kv.alignment,
  }),

  plan(problem, limits) {
    const { headDimQk, headDimV, numHeadsQ, numHeadsKv, hasAttnSink } = problem;
    const rows = numHeadsQ / numHeadsKv;
    const shape = { headDimQk, headDimV, rows, gathered: true, packedSlots: () => 0 };
    const tile = chooseTile({ element: 'bf16', ...shape }, limits);
    const config: SparsePrefillConfig = {
      tile,
      hasSink: hasAttnSink,
      queryAlignment: asAlignment(problem.q.alignment),
      keyAlignment: asAlignment(problem.kv.alignment),
    };
    const { grid } = sizesOf(problem, tile.rows);
    return {
      launches: { main: { kernel: sparsePrefillSpec, config, grid } },
      workspaceBytes: 0,
    };
  },

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    const { rows } = launches.main.config.tile;
    return (args, problem, call) => {
      const { tiles, grid } = sizesOf(problem, rows);
      setPrefill(set, context, args, problem);
      set.q(context.address(args.q));
      set.qStrides(problem.q.strides);
      set.kvStrides(problem.kv.strides);
      set.tilesPerQuery(tiles);
      main.enqueue(call, grid);
    };
  },
} satisfies CudaKernel<SparsePrefillArgs, SparsePrefillProblem, SparsePrefillPlan>;
