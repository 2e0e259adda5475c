import type { SparsePrefillArgs } from '../../backend.ts';
import type { FamilyOperation, KernelSpec, LaunchPlan, OperationPlan } from '../kernel-family.ts';
import type { SparsePrefillProblem } from '../problems.ts';
import { chooseTile } from './mla/choose-tile.ts';
import { asAlignment } from './mla/copy.ts';
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

/** Query heads that share a KV head, and the tiles they fill. */
function group({ numHeadsQ, numHeadsKv }: SparsePrefillProblem, rowsPerTile: number) {
  const size = numHeadsQ / numHeadsKv;
  return { size, tiles: Math.ceil(size / rowsPerTile) };
}

/** Token-sparse prefill on tensor cores, from sm_80 up. */
export const sparsePrefill: FamilyOperation<SparsePrefillProblem, SparsePrefillArgs> = {
  plan(problem, limits): SparsePrefillPlan {
    const { headDimQk, headDimV, numHeadsQ, numHeadsKv, seqLenQ, hasAttnSink } = problem;
    const rows = numHeadsQ / numHeadsKv;
    const shape = { headDimQk, headDimV, rows, gathered: true, packedSlots: () => 0 };
    const tile = chooseTile({ element: 'bf16', ...shape }, limits);
    const config: SparsePrefillConfig = {
      tile,
      hasSink: hasAttnSink,
      queryAlignment: asAlignment(problem.q.alignment),
      keyAlignment: asAlignment(problem.kv.alignment),
    };
    const { tiles } = group(problem, tile.rows);
    const grid = [seqLenQ * tiles, numHeadsKv, 1] as const;
    return {
      launches: { main: { kernel: sparsePrefillSpec, config, grid } },
      workspaceBytes: 0,
    };
  },

  bind(context, anyPlan, problem) {
    const { launches } = anyPlan as SparsePrefillPlan;
    const { size, tiles } = group(problem, launches.main.config.tile.rows);
    const main = context.prepare(launches.main, {
      q: 0,
      kv: 0,
      indices: 0,
      lengths: 0,
      sink: 0,
      out: 0,
      maxLogits: 0,
      lse: 0,
      qStrides: problem.q.strides,
      kvStrides: problem.kv.strides,
      indexStrides: problem.indices.strides,
      topk: problem.topk,
      seqLenKv: problem.seqLenKv,
      numHeadsQ: problem.numHeadsQ,
      groupSize: size,
      tilesPerQuery: tiles,
      naturalScale: problem.smScale,
      scale: problem.smScale * Math.LOG2E,
    });
    const q = main.setter('q');
    const kv = main.setter('kv');
    const indices = main.setter('indices');
    const lengths = main.setter('lengths');
    const sink = main.setter('sink');
    const out = main.setter('out');
    const maxLogits = main.setter('maxLogits');
    const lse = main.setter('lse');
    return (args) => {
      q(context.address(args.q));
      kv(context.address(args.kv));
      indices(context.address(args.indices));
      lengths(context.address(args.topkLength));
      sink(context.address(args.attnSink));
      out(context.address(args.out));
      maxLogits(context.address(args.maxLogits));
      lse(context.address(args.lse));
      main.enqueue();
    };
  },
};
