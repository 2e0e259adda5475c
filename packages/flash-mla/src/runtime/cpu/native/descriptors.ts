/** The jobs of machine code, for the WebAssembly kernels that write them. */

import { defineRecord } from '../commands/schema.ts';
import { attendJob } from './kernels/attend/job.ts';
import { copyJob } from './kernels/copy/job.ts';
import { dequantizeJob } from './kernels/dequantize/job.ts';
import { dotsJob } from './kernels/dots/job.ts';
import { normJob } from './kernels/norm/job.ts';
import { packJob } from './kernels/pack/job.ts';
import { productsJob } from './kernels/products/job.ts';
import { rowsJob } from './kernels/rows/job.ts';
import { scaledDotsJob } from './kernels/scaled-dots/job.ts';
import { unpackJob } from './kernels/unpack/job.ts';

export const copy = defineRecord('CopyJob', copyJob);
export const attend = defineRecord('AttendJob', attendJob);
export const rows = defineRecord('RowsJob', rowsJob);
export const products = defineRecord('ProductsJob', productsJob);
export const unpack = defineRecord('UnpackJob', unpackJob);
export const dots = defineRecord('DotsJob', dotsJob);
export const scaledDots = defineRecord('ScaledDotsJob', scaledDotsJob);
export const pack = defineRecord('PackJob', packJob);
export const dequantize = defineRecord('DequantizeJob', dequantizeJob);
export const norm = defineRecord('NormJob', normJob);
