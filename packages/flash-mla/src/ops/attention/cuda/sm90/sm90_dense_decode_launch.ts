import type { TensorMapDescription } from '@flash-mla/ptx';
import type { KernelSpec, LaunchPlan } from '../../../../runtime/cuda/kernel.ts';
import type { Element } from '../../../kernel-lib/cuda/element.ts';
import { denseDecode } from '../../operations.ts';
import type { DenseKernel } from '../decode_launch.ts';
import { denseShapeOf } from '../decode-shape.ts';
import { blockTokens } from '../pieces.ts';
import { denseDecodeProblem } from '../problem-of.ts';
import type { DenseDecodeProblem, DenseDecodeShape } from '../problems.ts';
import { planSchedule } from '../schedule.ts';
import type { DecodeParams } from './dense/params.ts';
import { headDimQk, headDimV, tileColumns, tileRows } from './dense/tile.ts';
import { fewRows } from './few-rows/tile.ts';
import {
  bindMappedDecode,
  decodeGrid,
  decodeKey,
  mapsKeys,
  planDecode,
} from './sm90_decode_launch.ts';
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

type Rows = Pick<DenseDecodeShape, 'seqLenQ' | 'numHeadsQ' | 'numHeadsKv'>;

const rowsOf = ({ seqLenQ, numHeadsQ, numHeadsKv }: Rows) => (seqLenQ * numHeadsQ) / numHeadsKv;

/**
 * Whether rows are the columns of multiplications. Measured: with 32 columns keys are multiplied too
 * slowly for the memory, which tiles of 64 rows are not.
 */
const hasFewRows = (shape: Rows): boolean => rowsOf(shape) <= fewRows;

/** Problems of 16 bits whose keys tensor copies can bring, with the head dimensions of DeepSeek's models. */
const accepts = (shape: DenseDecodeShape): boolean =>
  shape.dtype !== 'e4m3' &&
  shape.headDimQk === headDimQk &&
  shape.headDimV === headDimV &&
  mapsKeys(shape, 2);

/** Dense decoding of few rows, which are the columns of multiplications on warp groups. */
export const fewRowsDenseDecode = {
  operation: denseDecode,
  problemOf: denseDecodeProblem,
  accepts: (problem: DenseDecodeShape) => accepts(problem) && hasFewRows(problem),
  keyOf: (problem, limits) => decodeKey(problem, limits, 'f32', fewRows),

  plan(problem, limits) {
    const { dtype, outDtype, pageSize } = problem;
    const main: LaunchPlan<FewRowsDenseDecodeConfig, DecodeParams<Element>> = {
      kernel: fewRowsDenseDecodeSpec,
      config: { element: dtype as Element, outElement: outDtype, pageSize },
      grid: decodeGrid(problem, 1),
      overlap: true,
    };
    return planDecode(problem, limits, main, 'f32');
  },

  bind(context, plan) {
    const main = context.prepare(plan.launches.main);
    return bindMappedDecode(context, main, plan, { partial: 'f32', keyMap, rowTiles: () => 1 });
  },

  traits(shape, limits) {
    const call = denseShapeOf(shape);
    if (!accepts(call) || !hasFewRows(call)) return undefined;
    return planSchedule(shape.problem, { rowsPerTile: fewRows, ctasPerSm: 1 }, limits);
  },
} satisfies DenseKernel<LaunchPlan<FewRowsDenseDecodeConfig, DecodeParams<Element>>>;

/** How tiles of 64 rows are launched: CTAs of two tiles share keys. */
function tilesOf(shape: Rows) {
  const rowTiles = Math.ceil(rowsOf(shape) / tileRows);
  return {
    rowTiles,
    clusterSize: rowTiles % 2 === 0 ? 2 : 1,
    // Measured: two tiles gain 2 to 3 %; a single one, bound by memory, loses 10 %.
    prefetches: rowTiles === 2,
  } as const;
}

/** Dense decoding on warp groups, in tiles of 64 rows. */
export const hopperDenseDecode = {
  operation: denseDecode,
  problemOf: denseDecodeProblem,
  accepts,

  // Beyond two tiles of rows, what counts is whether they are even.
  keyOf(problem, limits) {
    const { rowTiles } = tilesOf(problem);
    const kind = rowTiles === 2 ? 2 : 3 + (rowTiles % 2);
    return decodeKey(problem, limits, 'f16', kind);
  },

  plan(problem, limits) {
    const { dtype, outDtype, pageSize } = problem;
    const { rowTiles, clusterSize, prefetches } = tilesOf(problem);
    const tile = { element: dtype as Element, clusterSize, prefetches } as const;
    const main: LaunchPlan<HopperDenseDecodeConfig, DecodeParams<Element>> = {
      kernel: hopperDenseDecodeSpec,
      config: { tile, outElement: outDtype, pageSize },
      grid: decodeGrid(problem, rowTiles),
      overlap: true,
      ...(clusterSize > 1 ? { cluster: [clusterSize, 1, 1] as const } : {}),
    };
    return planDecode(problem, limits, main, 'f16');
  },

  bind(context, plan) {
    const main = context.prepare(plan.launches.main);
    const rowTiles = (problem: DenseDecodeProblem) => tilesOf(problem).rowTiles;
    return bindMappedDecode(context, main, plan, { partial: 'f16', keyMap, rowTiles });
  },

  traits(shape, limits) {
    if (!accepts(denseShapeOf(shape))) return undefined;
    return planSchedule(shape.problem, { rowsPerTile: tileRows, ctasPerSm: 1 }, limits);
  },
} satisfies DenseKernel<LaunchPlan<HopperDenseDecodeConfig, DecodeParams<Element>>>;

/** The cache as tiles of 64 columns and 64 tokens. */
function keyMap(problem: DenseDecodeProblem, address: number): TensorMapDescription {
  const [blockStride = 0, tokenStride = 0, headStride = 0] = problem.kCache.strides;
  const { pageSize, numHeadsKv, numBlocks, headDimQk, dtype } = problem;
  return {
    element: dtype as Element,
    dims: [tileColumns, pageSize, headDimQk / tileColumns, numHeadsKv, numBlocks],
    strides: [tokenStride * 2, tileColumns * 2, headStride * 2, blockStride * 2],
    box: [tileColumns, blockTokens, 1, 1, 1],
    swizzle: '128B',
    l2Promotion: '128B',
    address,
  };
}
