import { defineWebGpuKernel } from '../../../runtime/webgpu/kernel.ts';
import * as attention from '../operations.ts';
import { denseDecode, sparseDecode } from './launch/decode.ts';
import { denseAttention } from './launch/dense-attention.ts';
import { sparsePrefill } from './launch/prefill.ts';
import { computeSchedule, planDenseSchedule, planSparseSchedule } from './launch/schedule.ts';

/** Attention on WebGPU. */
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
];
