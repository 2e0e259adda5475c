import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { hopperMqaLogits } from './sm90_mqa_logits_launch.ts';

/** What Hopper does in a way of its own; the rest is in the other list. */
export const hopperIndexerKernels = [defineCudaKernel(hopperMqaLogits)];
