import type { DenseDecodeArgs } from '../../backend.ts';
import type { DecodeOperation, KernelFamily } from '../kernel-family.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import { denseDecode as sixteenBit } from './sm90_dense_decode_launch.ts';
import { e4m3DenseDecode } from './sm90_e4m3_dense_decode_launch.ts';

const of = ({ dtype }: DenseDecodeProblem) => (dtype === 'e4m3' ? e4m3DenseDecode : sixteenBit);

/** Dense decoding, by a kernel for each width of elements. */
const denseDecode: DecodeOperation<DenseDecodeProblem, DenseDecodeArgs> = {
  accepts: (problem, limits) => of(problem).accepts?.(problem, limits) ?? true,
  tiling: (problem, limits) =>
    (problem.isFp8 ? e4m3DenseDecode : sixteenBit).tiling(problem, limits),
  plan: (problem, limits) => of(problem).plan(problem, limits),
  bind: (context, plan, problem) => of(problem).bind(context, plan, problem),
};

/** Kernels on Hopper's warp groups and tensor copies; what they leave out, `sm80` does. */
export const sm90: KernelFamily = { name: 'sm90', denseDecode };
