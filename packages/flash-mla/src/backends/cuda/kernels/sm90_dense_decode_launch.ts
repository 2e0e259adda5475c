import { type TensorMapDescription, tensorMapBytes } from '@flash-mla/ptx';
import type { DenseDecodeArgs, ScheduleProblem } from '../../backend.ts';
import type { DecodeOperation, KernelSpec, LaunchPlan, OperationPlan } from '../kernel-family.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import type { DecodeParams } from './hopper/params.ts';
import { headDimQk, headDimV, tileColumns, tileRows } from './hopper/tile.ts';
import { fewRows } from './hopper-few/tile.ts';
import { blockTokens } from './mla/pieces.ts';
import type { Element } from './mla/tile.ts';
import {
  bindCombine,
  type CombineLaunch,
  planCombine,
  planSplits,
  type SplitResults,
} from './sm80_combine_launch.ts';
import { denseDecode as portable } from './sm80_dense_decode_launch.ts';
import { buildHopperDenseDecode, type HopperDenseDecodeConfig } from './sm90_dense_decode.ts';
import {
  buildFewRowsDenseDecode,
  type FewRowsDenseDecodeConfig,
} from './sm90_few_rows_dense_decode.ts';

export const hopperDenseDecodeSpec: KernelSpec<HopperDenseDecodeConfig, DecodeParams<Element>> = {
  name: 'sm90_dense_decode',
  architectureSpecific: true,
  build: buildHopperDenseDecode,
};

export const fewRowsDenseDecodeSpec: KernelSpec<FewRowsDenseDecodeConfig, DecodeParams<Element>> = {
  name: 'sm90_few_rows_dense_decode',
  architectureSpecific: true,
  build: buildFewRowsDenseDecode,
};

type MainLaunch = LaunchPlan<
  HopperDenseDecodeConfig | FewRowsDenseDecodeConfig,
  DecodeParams<Element>
>;

interface HopperDenseDecodePlan extends OperationPlan {
  readonly launches: {
    readonly main: MainLaunch;
    readonly combine?: CombineLaunch;
  };
  readonly splits: SplitResults;
}

const rowsOf = ({
  seqLenQ,
  numHeadsQ,
  numHeadsKv,
}: Pick<ScheduleProblem, 'seqLenQ' | 'numHeadsQ' | 'numHeadsKv'>) =>
  (seqLenQ * numHeadsQ) / numHeadsKv;

/**
 * Whether rows are the columns of multiplications. Measured: with 32 columns keys are multiplied too
 * slowly for the memory, which tiles of 64 rows are not.
 */
const hasFewRows = (shape: Parameters<typeof rowsOf>[0]): boolean => rowsOf(shape) <= fewRows;

/** The kernel for few rows, which are the columns of its multiplications. */
function planFewRows(problem: DenseDecodeProblem): MainLaunch {
  const { dtype, outDtype, batch, numHeadsKv, plan, pageSize } = problem;
  return {
    kernel: fewRowsDenseDecodeSpec,
    config: { element: dtype as Element, outElement: outDtype, pageSize },
    grid: batch === 0 ? [0, 0, 0] : [1, numHeadsKv, plan.numParts],
    overlap: true,
  };
}

/** The kernel for tiles of 64 rows. */
function planManyRows(problem: DenseDecodeProblem): MainLaunch {
  const { dtype, outDtype, batch, numHeadsKv, plan, pageSize } = problem;
  const rowTiles = Math.ceil(rowsOf(problem) / tileRows);
  const clusterSize = rowTiles % 2 === 0 ? 2 : 1;
  // Measured: two tiles gain 2 to 3 %; a single one, bound by memory, loses 10 %.
  const prefetches = rowTiles === 2;
  const tile = { element: dtype as Element, clusterSize, prefetches } as const;
  return {
    kernel: hopperDenseDecodeSpec,
    config: { tile, outElement: outDtype, pageSize },
    grid: batch === 0 ? [0, 0, 0] : [rowTiles, numHeadsKv, plan.numParts],
    overlap: true,
    ...(clusterSize > 1 ? { cluster: [clusterSize, 1, 1] as const } : {}),
  };
}

/** Dense decoding on warp groups, for the head dimensions of DeepSeek's models. */
export const denseDecode: DecodeOperation<DenseDecodeProblem, DenseDecodeArgs> = {
  accepts(problem) {
    const { dtype, pageSize, q, kCache, numBlocks } = problem;
    return (
      dtype !== 'e4m3' &&
      problem.headDimQk === headDimQk &&
      problem.headDimV === headDimV &&
      pageSize % blockTokens === 0 &&
      q.alignment >= 16 &&
      kCache.alignment >= 16 &&
      numBlocks > 0 &&
      kCache.strides.every((stride) => stride * 2 < 2 ** 40)
    );
  },

  tiling(problem, limits) {
    const fits = problem.headDimQk === headDimQk && problem.headDimV === headDimV;
    if (!fits || problem.isFp8) return portable.tiling(problem, limits);
    return { rowsPerTile: hasFewRows(problem) ? fewRows : tileRows, ctasPerSm: 1 };
  },

  plan(problem, limits): HopperDenseDecodePlan {
    const { outDtype, plan, pageSize } = problem;
    const few = hasFewRows(problem);
    const main = few ? planFewRows(problem) : planManyRows(problem);
    const partial = few ? 'f32' : 'f16';
    const maxBlocks = Math.ceil((problem.maxBlocks * pageSize) / blockTokens);
    const splits = planSplits(problem, plan, maxBlocks, partial);
    const combine = planCombine(
      { outElement: outDtype, headDimV, hasSink: false, partial, overlaps: true },
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
    const { launches, splits, workspaceBytes } = anyPlan as HopperDenseDecodePlan;
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
      main.enqueue();
      combine?.(results);
    };
  },
};

/** The cache as tiles of 64 columns and 64 tokens. */
function keyMap(problem: DenseDecodeProblem): (address: number) => TensorMapDescription {
  const [blockStride = 0, tokenStride = 0, headStride = 0] = problem.kCache.strides;
  const { pageSize, numHeadsKv, numBlocks, dtype } = problem;
  const shape = {
    element: dtype as Element,
    dims: [tileColumns, pageSize, headDimQk / tileColumns, numHeadsKv, numBlocks],
    strides: [tokenStride * 2, tileColumns * 2, headStride * 2, blockStride * 2],
    box: [tileColumns, blockTokens, 1, 1, 1],
    swizzle: '128B',
    l2Promotion: '128B',
  } as const;
  return (address) => ({ ...shape, address });
}
