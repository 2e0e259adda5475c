import type { OperationTools } from '../conformance/operation-tools.ts';
import { append } from './bench/append.ts';
import { dequantize, quantize } from './bench/quantize.ts';
import { append as appendKind } from './conformance/append.ts';
import { kvCacheCases } from './conformance/cases.ts';
import {
  dequantize as dequantizeKind,
  quantize as quantizeKind,
} from './conformance/conversion.ts';
import { drawnAppend } from './conformance/drawn-append.ts';
import { drawnDequantize, drawnQuantize } from './conformance/drawn-conversion.ts';

/** What the conformance suite and the command know of the KV cache. */
export const kvCacheTools: OperationTools = {
  cases: kvCacheCases,
  problems: [quantizeKind, dequantizeKind, appendKind],
  drawn: [drawnQuantize, drawnDequantize, drawnAppend],
  benches: [quantize, append],
  inspects: [dequantize],
};
