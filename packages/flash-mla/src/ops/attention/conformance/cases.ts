import { problemCase } from '../../conformance/suite/problem-case.ts';
import { cacheAttention } from './cache-attention.ts';
import { denseDecode } from './dense-decode.ts';
import { attentionGrid, denseGrid, prefillGrid, sparseGrid } from './full-grid.ts';
import type { CacheParams, VarlenParams } from './params.ts';
import { quickDense, quickSparse } from './quick-decode.ts';
import { quickAttention, quickPrefill } from './quick-others.ts';
import { sparseDecode } from './sparse-decode.ts';
import { sparsePrefill } from './sparse-prefill.ts';
import { varlenAttention } from './varlen-attention.ts';

const attentionCase = (params: VarlenParams | CacheParams, quick: boolean) =>
  params.op === 'varlen-attention'
    ? problemCase(varlenAttention, params, quick)
    : problemCase(cacheAttention, params, quick);

/** The conformance cases of attention. */
export const attentionCases = [
  ...quickDense.map((params) => problemCase(denseDecode, params, true)),
  ...quickSparse.map((params) => problemCase(sparseDecode, params, true)),
  ...quickPrefill.map((params) => problemCase(sparsePrefill, params, true)),
  ...quickAttention.map((params) => attentionCase(params, true)),
  ...Array.from(denseGrid(), (params) => problemCase(denseDecode, params, false)),
  ...Array.from(sparseGrid(), (params) => problemCase(sparseDecode, params, false)),
  ...Array.from(prefillGrid(), (params) => problemCase(sparsePrefill, params, false)),
  ...Array.from(attentionGrid(), (params) => attentionCase(params, false)),
];
