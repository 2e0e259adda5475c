import * as attention from '../../../attention/operations.ts';
import { appendRows, dequantizeRows, quantizeRows } from '../../../kv-cache/operations.ts';
import { defineWebGpuKernel } from '../kernel.ts';
import { appendKvCache } from './append.ts';
import { denseDecode, sparseDecode } from './decode.ts';
import { denseAttention } from './dense-attention.ts';
import { sparsePrefill } from './prefill.ts';
import { dequantizeKvCache, quantizeKvCache } from './quantize.ts';
import { computeSchedule, planDenseSchedule, planSparseSchedule } from './schedule.ts';

/** The library's kernels for WebGPU. */
export const webGpuKernels = [
  defineWebGpuKernel({ operation: attention.computeSchedule, launch: computeSchedule }),
  defineWebGpuKernel({
    operation: attention.denseDecode,
    launch: denseDecode,
    traits: planDenseSchedule,
  }),
  defineWebGpuKernel({
    operation: attention.sparseDecode,
    launch: sparseDecode,
    traits: planSparseSchedule,
  }),
  defineWebGpuKernel({ operation: attention.sparsePrefill, launch: sparsePrefill }),
  defineWebGpuKernel({ operation: attention.denseAttention, launch: denseAttention }),
  defineWebGpuKernel({ operation: quantizeRows, launch: quantizeKvCache }),
  defineWebGpuKernel({ operation: dequantizeRows, launch: dequantizeKvCache }),
  defineWebGpuKernel({ operation: appendRows, launch: appendKvCache }),
];
