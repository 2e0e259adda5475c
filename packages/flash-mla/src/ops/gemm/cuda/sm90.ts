import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { fewRowsGemm } from './sm80_few_rows_gemm_launch.ts';
import { hopperGemm } from './sm90_gemm_launch.ts';

/** Products on Hopper, in the order of preference. */
export const hopperGemmKernels = [defineCudaKernel(fewRowsGemm), defineCudaKernel(hopperGemm)];
