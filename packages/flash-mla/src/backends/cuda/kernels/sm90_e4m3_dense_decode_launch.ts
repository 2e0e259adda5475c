import type { TensorMapDescription } from '@flash-mla/ptx';
import type { DenseDecodeArgs, ScheduleProblem } from '../../backend.ts';
import type { DecodeOperation, KernelSpec, LaunchPlan } from '../kernel-family.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import type { DecodePlan } from './decode_launch.ts';
import { headDimQk, headDimV } from './hopper/tile.ts';
import { chooseE4m3Tile, tileColumns } from './hopper-e4m3/tile.ts';
import { blockTokens } from './mla/pieces.ts';
import { denseDecode as portable } from './sm80_dense_decode_launch.ts';
import { bindMappedDecode, mappedInputs, mapsKeys, planDecode } from './sm90_decode_launch.ts';
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

type E4m3DenseDecodePlan = DecodePlan<LaunchPlan<E4m3DenseDecodeConfig, E4m3DenseDecodeParams>>;

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
  accepts: (problem) =>
    problem.dtype === 'e4m3' && tileOf(problem) !== undefined && mapsKeys(problem, 1),

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
    return planDecode(problem, limits, main, 'f32');
  },

  bind(context, anyPlan, problem) {
    const plan = anyPlan as E4m3DenseDecodePlan;
    const inputs = { ...mappedInputs(problem, plan.splits), descaleQ: 0, descaleK: 0 };
    const main = context.prepare(plan.launches.main, inputs);
    const descaleQ = main.setter('descaleQ');
    const descaleK = main.setter('descaleK');
    const enqueue = bindMappedDecode(context, main, plan, problem, keyMap(problem));
    return (args) => {
      descaleQ(context.address(args.descaleQ));
      descaleK(context.address(args.descaleK));
      enqueue(args);
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
