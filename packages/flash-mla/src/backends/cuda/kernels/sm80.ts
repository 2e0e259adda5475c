import type { KernelFamily } from '../kernel-family.ts';
import { appendKvCache } from './sm80_append_kv_cache_launch.ts';
import { check } from './sm80_check_launch.ts';
import { denseAttention } from './sm80_dense_attention_launch.ts';
import { denseDecode } from './sm80_dense_decode_launch.ts';
import { dequantizeKvCache, quantizeKvCache } from './sm80_pack_rows_launch.ts';
import { sparseDecode } from './sm80_sparse_decode_launch.ts';
import { sparsePrefill } from './sm80_sparse_prefill_launch.ts';
import { computeSchedule } from './sm80_tile_schedule_launch.ts';

/** Kernels on `mma.sync` and `cp.async`, for every GPU from Ampere on. */
export const sm80: KernelFamily = {
  name: 'sm80',
  computeSchedule,
  denseDecode,
  sparseDecode,
  sparsePrefill,
  denseAttention,
  quantizeKvCache,
  dequantizeKvCache,
  appendKvCache,
  check,
};
