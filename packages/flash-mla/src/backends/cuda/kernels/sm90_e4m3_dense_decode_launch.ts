import { type TensorMapDescription, tensorMapBytes } from '@flash-mla/ptx';
import type { DenseDecodeArgs, ScheduleProblem } from '../../backend.ts';
import type { DecodeOperation, KernelSpec, LaunchPlan, OperationPlan } from '../kernel-family.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import { headDimQk, headDimV } from './hopper/tile.ts';
import { chooseE4m3Tile, tileColumns } from './hopper-e4m3/tile.ts';
import { blockTokens } from './mla/pieces.ts';
import {
  bindCombine,
  type CombineLaunch,
  planCombine,
  planSplits,
  type SplitResults,
} from './sm80_combine_launch.ts';
import { denseDecode as portable } from './sm80_dense_decode_launch.ts';
import {
  buildE4m3DenseDecode,
  type E4m3DenseDecodeConfig,
  type E4m3DenseDecodeParams,
} from './sm90_e4m3_dense_decode.ts';

export const e4m3DenseDecodeSpec: KernelSpec<E4m3DenseDecodeConfig, E4m3DenseDecodeParams> = {
  name: 'sm90_e4m3_dense_decode',
  architectureSpecific: true,
  build: buildE4m3DenseDecode,
};

interface E4m3DenseDecodePlan extends OperationPlan {
  readonly launches: {
    readonly main: LaunchPlan<E4m3DenseDecodeConfig, E4m3DenseDecodeParams>;
    readonly combine?: CombineLaunch;
  };
  readonly splits: SplitResults;
}

type Shape = Pick<
  ScheduleProblem,
  'seqLenQ' | 'numHeadsQ' | 'numHeadsKv' | 'headDimQk' | 'headDimV'
>;

/** The tile for the head dimensions of DeepSeek's models and few query rows; undefined for others. */
function tileOf(shape: Shape) {
  if (shape.headDimQk !== headDimQk || shape.headDimV !== headDimV) return undefined;
  return chooseE4m3Tile((shape.seqLenQ * shape.numHeadsQ) / shape.numHeadsKv);
}

/** Dense decoding of few query rows of e4m3 on warp groups. */
export const e4m3DenseDecode: DecodeOperation<DenseDecodeProblem, DenseDecodeArgs> = {
  accepts(problem) {
    const { dtype, pageSize, q, kCache, numBlocks } = problem;
    return (
      dtype === 'e4m3' &&
      tileOf(problem) !== undefined &&
      pageSize % blockTokens === 0 &&
      q.alignment >= 16 &&
      kCache.alignment >= 16 &&
      numBlocks > 0 &&
      kCache.strides.every((stride) => stride < 2 ** 40)
    );
  },

  tiling(problem, limits) {
    const tile = problem.isFp8 ? tileOf(problem) : undefined;
    if (tile === undefined) return portable.tiling(problem, limits);
    return { rowsPerTile: tile.rows, ctasPerSm: 1 };
  },

  plan(problem, limits): E4m3DenseDecodePlan {
    const { outDtype, numHeadsKv, plan, pageSize } = problem;
    const tile = tileOf(problem);
    if (tile === undefined) throw new RangeError('not a problem that this kernel accepts');
    const main: E4m3DenseDecodePlan['launches']['main'] = {
      kernel: e4m3DenseDecodeSpec,
      config: { tile, outElement: outDtype, pageSize },
      grid: problem.batch === 0 ? [0, 0, 0] : [1, numHeadsKv, plan.numParts],
      overlap: true,
    };
    const maxBlocks = Math.ceil((problem.maxBlocks * pageSize) / blockTokens);
    const splits = planSplits(problem, plan, maxBlocks, 'f32');
    const combine = planCombine(
      { outElement: outDtype, headDimV, hasSink: false, partial: 'f32', overlaps: true },
      problem,
      limits,
    );
    return {
      launches: splits.slots > 0 ? { main, combine } : { main },
      splits,
      workspaceBytes: splits.workspaceBytes,
    };
  },

  bind(context, anyPlan, problem) {
    const { launches, splits, workspaceBytes } = anyPlan as E4m3DenseDecodePlan;
    const main = context.prepare(launches.main, {
      keys: new Uint8Array(tensorMapBytes),
      q: 0,
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
      blockTableStride: problem.blockTableStride,
      capacity: Math.min(problem.maxBlocks * problem.pageSize, 2 ** 31 - 1 - blockTokens),
      groupSize: problem.numHeadsQ / problem.numHeadsKv,
      splitBlocks: problem.plan.splitBlocks,
      causal: problem.causal ? 1 : 0,
      scale: problem.softmaxScale * Math.LOG2E,
    });
    const keys = main.tensorMapSetter('keys');
    const keysAt = keyMap(problem);
    const q = main.setter('q');
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
      keys(keysAt(context.address(args.kCache)));
      q(context.address(args.q));
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

/** The cache in boxes of 128 columns and 64 tokens; the last of a row reaches beyond its end. */
function keyMap(problem: DenseDecodeProblem): (address: number) => TensorMapDescription {
  const [blockStride = 0, tokenStride = 0, headStride = 0] = problem.kCache.strides;
  const { pageSize, numHeadsKv, numBlocks } = problem;
  const shape = {
    element: 'e4m3',
    dims: [headDimQk, pageSize, numHeadsKv, numBlocks],
    strides: [tokenStride, headStride, blockStride],
    box: [tileColumns, blockTokens, 1, 1],
    swizzle: '128B',
    l2Promotion: '256B',
  } as const;
  return (address) => ({ ...shape, address });
}
