import type { TensorMapDescription } from '@flash-mla/ptx';
import type { DenseDecodeArgs, ScheduleProblem } from '../../backend.ts';
import type { DecodeOperation, KernelSpec, LaunchPlan } from '../kernel-family.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import type { DecodePlan } from './decode_launch.ts';
import type { DecodeParams } from './hopper/params.ts';
import { headDimQk, headDimV, tileColumns, tileRows } from './hopper/tile.ts';
import { fewRows } from './hopper-few/tile.ts';
import { blockTokens } from './mla/pieces.ts';
import type { Element } from './mla/tile.ts';
import { denseDecode as portable } from './sm80_dense_decode_launch.ts';
import { bindMappedDecode, mappedInputs, mapsKeys, planDecode } from './sm90_decode_launch.ts';
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

type HopperDenseDecodePlan = DecodePlan<MainLaunch>;

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
  accepts: (problem) =>
    problem.dtype !== 'e4m3' &&
    problem.headDimQk === headDimQk &&
    problem.headDimV === headDimV &&
    mapsKeys(problem, 2),

  tiling(problem, limits) {
    const fits = problem.headDimQk === headDimQk && problem.headDimV === headDimV;
    if (!fits || problem.isFp8) return portable.tiling(problem, limits);
    return { rowsPerTile: hasFewRows(problem) ? fewRows : tileRows, ctasPerSm: 1 };
  },

  plan(problem, limits): HopperDenseDecodePlan {
    const few = hasFewRows(problem);
    const main = few ? planFewRows(problem) : planManyRows(problem);
    return planDecode(problem, limits, main, few ? 'f32' : 'f16');
  },

  bind(context, anyPlan, problem) {
    const plan = anyPlan as HopperDenseDecodePlan;
    const main = context.prepare(plan.launches.main, mappedInputs(problem, plan.splits));
    return bindMappedDecode(context, main, plan, problem, keyMap(problem));
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
