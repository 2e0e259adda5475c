import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { portableExpertMlp } from './sm80_expert_mlp_launch.ts';
import { portableRoute } from './sm80_route_experts_launch.ts';
import { streamExpertMlp } from './sm80_stream_experts_launch.ts';

/** Mixtures of experts on every GPU from Ampere on. */
export const moeCudaKernels = [
  defineCudaKernel(portableRoute),
  defineCudaKernel(streamExpertMlp),
  defineCudaKernel(portableExpertMlp),
];
