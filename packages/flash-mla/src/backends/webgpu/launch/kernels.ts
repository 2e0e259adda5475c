import * as attention from '../../../attention/operations.ts';
import { appendRows, dequantizeRows, quantizeRows } from '../../../kv-cache/operations.ts';
import { webGpuKernel } from '../kernel.ts';
import { appendKvCache } from './append.ts';
import { denseDecode, sparseDecode } from './decode.ts';
import { denseAttention } from './dense-attention.ts';
import { sparsePrefill } from './prefill.ts';
import { dequantizeKvCache, quantizeKvCache } from './quantize.ts';
import { computeSchedule, planDenseSchedule, planSparseSchedule } from './schedule.ts';

/** The library's kernels for WebGPU. */
export const webGpuKernels = [
  webGpuKernel({ operation: attention.computeSchedule, launch: computeSchedule }),
  webGpuKernel({
    operation: attention.denseDecode,
    launch: denseDecode,
    traits: planDenseSchedule,
  }),
  webGpuKernel({
    operation: attention.sparseDecode,
    launch: sparseDecode,
    traits: planSparseSchedule,
  }),
  webGpuKernel({ operation: attention.sparsePrefill, launch: sparsePrefill }),
  webGpuKernel({ operation: attention.denseAttention, launch: denseAttention }),
  webGpuKernel({ operation: quantizeRows, launch: quantizeKvCache }),
  webGpuKernel({ operation: dequantizeRows, launch: dequantizeKvCache }),
  webGpuKernel({ operation: appendRows, launch: appendKvCache }),
];
