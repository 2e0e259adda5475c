import type { ProblemKind } from '../../conformance/problem-kind.ts';
import { cacheAttention } from './cache-attention.ts';
import { denseDecode } from './dense-decode.ts';
import type { AttentionParams } from './params.ts';
import { sparseDecode } from './sparse-decode.ts';
import { sparsePrefill } from './sparse-prefill.ts';
import { varlenAttention } from './varlen-attention.ts';

/** The kinds of problems of attention. */
export const attentionKinds = [
  denseDecode,
  sparseDecode,
  sparsePrefill,
  varlenAttention,
  cacheAttention,
] as const satisfies readonly ProblemKind[];

/** Parameters of a case that has a problem. */
export type AttentionProblemParams = Exclude<AttentionParams, { op: 'schedule' }>;
