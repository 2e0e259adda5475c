import type { OperationTools } from '../conformance/operation-tools.ts';
import { denseAttention } from './bench/dense-attention.ts';
import { denseDecode } from './bench/dense-decode.ts';
import { metadata } from './bench/metadata.ts';
import { sparseDecode } from './bench/sparse-decode.ts';
import { sparsePrefill } from './bench/sparse-prefill.ts';
import { denseDecode as denseDecodeOperation } from './operations.ts';

/** What the command knows of attention; its cases are in `ops/conformance`. */
export const attentionTools: OperationTools = {
  benches: [denseDecode, sparseDecode, sparsePrefill, denseAttention, metadata],
  inspects: [
    { name: 'combine', bench: denseDecode, operation: denseDecodeOperation, role: 'combine' },
  ],
};
