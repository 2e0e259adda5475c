import { defineWebGpuKernel } from '../../../runtime/webgpu/kernel.ts';
import { appendRows, dequantizeRows, quantizeRows } from '../operations.ts';
import { appendKvCache } from './launch/append.ts';
import { dequantizeKvCache, quantizeKvCache } from './launch/quantize.ts';

/** Packing, unpacking and appending of cache rows on WebGPU. */
export const webGpuKernels = [
  defineWebGpuKernel({ operation: quantizeRows, launch: quantizeKvCache }),
  defineWebGpuKernel({ operation: dequantizeRows, launch: dequantizeKvCache }),
  defineWebGpuKernel({ operation: appendRows, launch: appendKvCache }),
];
