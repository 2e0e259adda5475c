import type { KernelFamily } from '../kernel-family.ts';
import { denseDecode } from './sm90_dense_decode_launch.ts';

/** Kernels on Hopper's warp groups and tensor copies; what they leave out, `sm80` does. */
export const sm90: KernelFamily = { name: 'sm90', denseDecode };
