import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { portableDenseAttention } from './sm80/sm80_dense_attention_launch.ts';
import { portableDenseDecode } from './sm80/sm80_dense_decode_launch.ts';
import { portableSparseDecode } from './sm80/sm80_sparse_decode_launch.ts';
import { portableSparsePrefill } from './sm80/sm80_sparse_prefill_launch.ts';
import { tileSchedule } from './sm80_tile_schedule_launch.ts';

/** Kernels on `mma.sync` and `cp.async`, for every GPU from Ampere on. */
export const sm80 = [
  defineCudaKernel(tileSchedule),
  defineCudaKernel(portableDenseDecode),
  defineCudaKernel(portableSparseDecode),
  defineCudaKernel(portableSparsePrefill),
  defineCudaKernel(portableDenseAttention),
];
