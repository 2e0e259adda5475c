import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { fewRowsGemm } from './sm80_few_rows_gemm_launch.ts';
import { hopperE4m3Gemm } from './sm90_e4m3_gemm_launch.ts';
import { hopperGemm } from './sm90_gemm_launch.ts';

/** Products on Hopper, in the order of preference. */
export const hopperGemmKernels = [
  defineCudaKernel(fewRowsGemm),
  defineCudaKernel(hopperE4m3Gemm),
  defineCudaKernel(hopperGemm),
];
