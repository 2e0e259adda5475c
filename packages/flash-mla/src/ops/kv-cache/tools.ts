import type { OperationTools } from '../conformance/operation-tools.ts';
import { append } from './bench/append.ts';
import { dequantize, quantize } from './bench/quantize.ts';

/** What the command knows of the KV cache; its cases are in `ops/conformance`. */
export const kvCacheTools: OperationTools = {
  benches: [quantize, append],
  inspects: [dequantize],
};
