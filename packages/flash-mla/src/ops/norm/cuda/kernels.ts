import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { portableRmsNorm } from './sm80_rms_norm_launch.ts';

/** RMSNorm on every GPU from Ampere on. */
export const normCudaKernels = [defineCudaKernel(portableRmsNorm)];
