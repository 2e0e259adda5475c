import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { portableAppend } from './sm80_append_kv_cache_launch.ts';
import { portableDequantize, portableQuantize } from './sm80_pack_rows_launch.ts';

/** For every GPU from Ampere on. */
export const sm80 = [
  defineCudaKernel(portableQuantize),
  defineCudaKernel(portableDequantize),
  defineCudaKernel(portableAppend),
];
