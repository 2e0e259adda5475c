import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { portableCopyRows } from './sm80_copy_rows_launch.ts';
import { portableSwapIn } from './sm80_swap_in_launch.ts';

/** Swap-ins and copies of rows on every GPU from Ampere on. */
export const swapInCudaKernels = [
  defineCudaKernel(portableSwapIn),
  defineCudaKernel(portableCopyRows),
];
