import type { OperationTools } from '../conformance/operation-tools.ts';
import { denseAttention } from './bench/dense-attention.ts';
import { denseDecode } from './bench/dense-decode.ts';
import { metadata } from './bench/metadata.ts';
import { sparseDecode } from './bench/sparse-decode.ts';
import { sparsePrefill } from './bench/sparse-prefill.ts';
import { attentionCases } from './conformance/cases.ts';
import { drawnCacheAttention } from './conformance/drawn/cache-attention.ts';
import { drawnDenseDecode } from './conformance/drawn/dense-decode.ts';
import { drawnSparseDecode } from './conformance/drawn/sparse-decode.ts';
import { drawnSparsePrefill } from './conformance/drawn/sparse-prefill.ts';
import { drawnVarlenAttention } from './conformance/drawn/varlen-attention.ts';
import { attentionExclusions } from './conformance/exclusions.ts';
import { attentionKinds } from './conformance/kinds.ts';
import { scheduleCases } from './conformance/schedule.ts';
import { denseDecode as denseDecodeOperation } from './operations.ts';

/** What the conformance suite and the command know of attention. */
export const attentionTools: OperationTools = {
  cases: attentionCases,
  problems: attentionKinds,
  // Decoding has the most ways to go wrong, so it is drawn most often.
  drawn: [
    drawnDenseDecode,
    drawnSparseDecode,
    drawnSparsePrefill,
    drawnVarlenAttention,
    drawnCacheAttention,
  ],
  exclusions: attentionExclusions,
  benches: [denseDecode, sparseDecode, sparsePrefill, denseAttention, metadata],
  inspects: [
    { name: 'combine', bench: denseDecode, operation: denseDecodeOperation, role: 'combine' },
  ],
};

/** The schedule is tested after what it serves. */
export const scheduleTools: OperationTools = { cases: scheduleCases, benches: [] };
