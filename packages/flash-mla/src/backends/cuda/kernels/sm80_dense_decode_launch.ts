import type { DenseDecodeArgs, ScheduleProblem } from '../../backend.ts';
import type { DecodeOperation, KernelSpec, LaunchPlan, OperationPlan } from '../kernel-family.ts';
import type { DeviceLimits } from '../limits.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import { chooseTile } from './mla/choose-tile.ts';
import { asAlignment } from './mla/copy.ts';
import { e4m3Format, packedSlots } from './mla/packed-formats.ts';
import { blockTokens } from './mla/pieces.ts';
import type { MlaTile } from './mla/tile.ts';
import {
  bindCombine,
  type CombineLaunch,
  planCombine,
  planSplits,
  type SplitResults,
} from './sm80_combine_launch.ts';
import {
  buildDenseDecode,
  type DenseDecodeConfig,
  type DenseDecodeParams,
} from './sm80_dense_decode.ts';

export const denseDecodeSpec: KernelSpec<DenseDecodeConfig, DenseDecodeParams> = {
  name: 'sm80_dense_decode',
  build: buildDenseDecode,
};

interface DenseDecodePlan extends OperationPlan {
  readonly launches: {
    readonly main: LaunchPlan<DenseDecodeConfig, DenseDecodeParams>;
    readonly combine?: CombineLaunch;
  };
  readonly splits: SplitResults;
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
      scattered: pageSize % blockTokens !== 0,
      rawKeys: isFp8,
      packedSlots: (threads) => (isFp8 ? packedSlots(e4m3Format(headDimQk), threads).all : 0),
    },
    limits,
  );
}

/** Dense decoding on tensor cores, from sm_80 up. */
export const denseDecode: DecodeOperation<DenseDecodeProblem, DenseDecodeArgs> = {
  tiling(problem, limits) {
    const { rows } = denseTile(problem, problem.isFp8 ? 'e4m3' : 'bf16', limits, blockTokens);
    return { rowsPerTile: rows, ctasPerSm: 1 };
  },

  plan(problem, limits): DenseDecodePlan {
    const { dtype, outDtype, seqLenQ, numHeadsQ, numHeadsKv, headDimV, plan } = problem;
    const tile = denseTile(problem, dtype, limits, problem.pageSize);
    const config: DenseDecodeConfig = {
      tile,
      stored: dtype,
      outElement: outDtype,
      pageSize: problem.pageSize,
      queryAlignment: asAlignment(problem.q.alignment),
      keyAlignment: asAlignment(problem.kCache.alignment),
    };
    const rowTiles = Math.ceil((seqLenQ * numHeadsQ) / numHeadsKv / tile.rows);
    const main: DenseDecodePlan['launches']['main'] = {
      kernel: denseDecodeSpec,
      config,
      grid: problem.batch === 0 ? [0, 0, 0] : [rowTiles, numHeadsKv, plan.numParts],
      overlap: limits.sm >= 90,
    };
    const maxBlocks = Math.ceil((problem.maxBlocks * problem.pageSize) / blockTokens);
    const splits = planSplits(problem, plan, maxBlocks, 'f32');
    const overlaps = limits.sm >= 90;
    const results = { outElement: outDtype, headDimV, hasSink: false, partial: 'f32' } as const;
    const combine = planCombine({ ...results, overlaps }, problem, limits);
    return {
      launches: splits.slots > 0 ? { main, combine } : { main },
      splits,
      workspaceBytes: splits.workspaceBytes,
    };
  },

  bind(context, anyPlan, problem) {
    const { launches, splits, workspaceBytes } = anyPlan as DenseDecodePlan;
    const main = context.prepare(launches.main, {
      q: 0,
      kCache: 0,
      blockTable: 0,
      seqlens: 0,
      metadata: 0,
      numSplits: 0,
      out: 0,
      lse: 0,
      partialOut: 0,
      partialLse: 0,
      slots: Math.max(1, splits.slots),
      seqLenQ: problem.seqLenQ,
      numHeadsQ: problem.numHeadsQ,
      descaleQ: 0,
      descaleK: 0,
      qStrides: problem.q.strides,
      kStrides: problem.kCache.strides,
      blockTableStride: problem.blockTableStride,
      capacity: Math.min(problem.maxBlocks * problem.pageSize, 2 ** 31 - 1 - blockTokens),
      groupSize: problem.numHeadsQ / problem.numHeadsKv,
      splitBlocks: problem.plan.splitBlocks,
      causal: problem.causal ? 1 : 0,
      scale: problem.softmaxScale * Math.LOG2E,
    });
    const q = main.setter('q');
    const kCache = main.setter('kCache');
    const blockTable = main.setter('blockTable');
    const seqlens = main.setter('seqlens');
    const metadata = main.setter('metadata');
    const numSplits = main.setter('numSplits');
    const out = main.setter('out');
    const lse = main.setter('lse');
    const partialOut = main.setter('partialOut');
    const partialLse = main.setter('partialLse');
    const descaleQ = main.setter('descaleQ');
    const descaleK = main.setter('descaleK');
    const combine = launches.combine && bindCombine(context, launches.combine, splits, problem);

    return (args) => {
      const workspace = context.workspace(workspaceBytes);
      const results = {
        workspace,
        numSplits: context.address(args.schedule.numSplits),
        out: context.address(args.out),
        lse: context.address(args.lse),
        sink: 0,
      };
      q(context.address(args.q));
      kCache(context.address(args.kCache));
      blockTable(context.address(args.blockTable));
      seqlens(context.address(args.seqlens));
      metadata(context.address(args.schedule.metadata));
      numSplits(results.numSplits);
      out(results.out);
      lse(results.lse);
      partialOut(workspace);
      partialLse(workspace + splits.outputBytes);
      descaleQ(context.address(args.descaleQ));
      descaleK(context.address(args.descaleK));
      main.enqueue();
      combine?.(results);
    };
  },
};
