import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { hopperDenseAttention } from './sm90/sm90_dense_attention_launch.ts';
import { fewRowsDenseDecode, hopperDenseDecode } from './sm90/sm90_dense_decode_launch.ts';
import { e4m3DenseDecode } from './sm90/sm90_e4m3_dense_decode_launch.ts';
import { hopperSparseDecode } from './sm90/sm90_sparse_decode_launch.ts';
import { hopperSparsePrefill } from './sm90/sm90_sparse_prefill_launch.ts';

/** Kernels on Hopper's warp groups and tensor copies; what they leave out, `sm80` does. */
export const sm90 = [
  defineCudaKernel(fewRowsDenseDecode),
  defineCudaKernel(hopperDenseDecode),
  defineCudaKernel(e4m3DenseDecode),
  defineCudaKernel(hopperSparseDecode),
  defineCudaKernel(hopperDenseAttention),
  defineCudaKernel(hopperSparsePrefill),
];
