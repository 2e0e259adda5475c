import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { appendRows, dequantizeRows, quantizeRows } from '../operations.ts';
import { appendCommand } from './append.ts';
import { dequantizeCommand, quantizeCommand } from './quantize.ts';

/** Packing, unpacking and appending of cache rows on processors. */
export const cpuKernels = [
  defineCpuKernel({ operation: quantizeRows, command: quantizeCommand }),
  defineCpuKernel({ operation: dequantizeRows, command: dequantizeCommand }),
  defineCpuKernel({ operation: appendRows, command: appendCommand }),
];
