import type { TensorMapDescription } from '@flash-mla/ptx';
import type { KernelSpec, LaunchPlan } from '../../../../runtime/cuda/kernel.ts';
import { denseDecode } from '../../operations.ts';
import type { DenseKernel } from '../decode_launch.ts';
import { denseShapeOf } from '../decode-shape.ts';
import { blockTokens } from '../pieces.ts';
import { denseDecodeProblem } from '../problem-of.ts';
import type { DenseDecodeProblem, DenseDecodeShape } from '../problems.ts';
import { planSchedule } from '../schedule.ts';
import { headDimQk, headDimV } from './dense/tile.ts';
import { chooseE4m3Tile, type E4m3Tile, tileColumns } from './e4m3/tile.ts';
import {
  bindMappedDecode,
  decodeGrid,
  decodeKey,
  mapsKeys,
  planDecode,
} from './sm90_decode_launch.ts';
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

type MainLaunch = LaunchPlan<E4m3DenseDecodeConfig, E4m3DenseDecodeParams>;

/** The tile for the head dimensions of DeepSeek's models and few query rows; undefined for others. */
function tileOf(shape: DenseDecodeShape): E4m3Tile | undefined {
  if (shape.dtype !== 'e4m3' || !mapsKeys(shape, 1)) return undefined;
  if (shape.headDimQk !== headDimQk || shape.headDimV !== headDimV) return undefined;
  return chooseE4m3Tile((shape.seqLenQ * shape.numHeadsQ) / shape.numHeadsKv);
}

/** Dense decoding of few query rows of e4m3 on warp groups. */
export const e4m3DenseDecode = {
  operation: denseDecode,
  problemOf: denseDecodeProblem,
  accepts: (problem) => tileOf(problem) !== undefined,
  keyOf: (problem, limits) => decodeKey(problem, limits, 'f32', tileOf(problem)?.rows ?? 0),

  plan(problem, limits) {
    const tile = tileOf(problem);
    if (tile === undefined) throw new RangeError('not a problem that this kernel accepts');
    const main: MainLaunch = {
      kernel: e4m3DenseDecodeSpec,
      config: { tile, outElement: problem.outDtype, pageSize: problem.pageSize },
      grid: decodeGrid(problem, 1),
      overlap: true,
    };
    return planDecode(problem, limits, main, 'f32');
  },

  bind(context, plan) {
    const main = context.prepare(plan.launches.main);
    const rowTiles = () => 1;
    const enqueue = bindMappedDecode(context, main, plan, { partial: 'f32', keyMap, rowTiles });
    return (args, problem, call) => {
      main.set.descaleQ(context.address(args.descaleQ));
      main.set.descaleK(context.address(args.descaleK));
      enqueue(args, problem, call);
    };
  },

  traits(shape, limits) {
    const tile = tileOf(denseShapeOf(shape));
    if (tile === undefined) return undefined;
    return planSchedule(shape.problem, { rowsPerTile: tile.rows, ctasPerSm: 1 }, limits);
  },
} satisfies DenseKernel<MainLaunch>;

/** The cache in boxes of 128 columns and 64 tokens; the last of a row reaches beyond its end. */
function keyMap(problem: DenseDecodeProblem, address: number): TensorMapDescription {
  const [blockStride = 0, tokenStride = 0, headStride = 0] = problem.kCache.strides;
  const { pageSize, numHeadsKv, numBlocks } = problem;
  return {
    element: 'e4m3',
    dims: [headDimQk, pageSize, numHeadsKv, numBlocks],
    strides: [tokenStride, headStride, blockStride],
    box: [tileColumns, blockTokens, 1, 1],
    swizzle: '128B',
    l2Promotion: '256B',
    address,
  };
}
