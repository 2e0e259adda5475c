import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { portableSwapIn } from './sm80_swap_in_launch.ts';

/** Swap-in on every GPU from Ampere on. */
export const swapInCudaKernels = [defineCudaKernel(portableSwapIn)];
