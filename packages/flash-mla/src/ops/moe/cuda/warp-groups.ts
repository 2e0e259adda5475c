import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { hopperExpertMlp } from './sm90_expert_mlp_launch.ts';

/** Mixtures of experts on Hopper; what they leave out, `sm80` does. */
export const hopperMoeKernels = [defineCudaKernel(hopperExpertMlp)];
