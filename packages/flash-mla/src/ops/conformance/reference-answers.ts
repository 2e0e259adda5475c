import { decodeAll } from '@flash-mla/core';
import {
  type AttentionAnswer,
  appendKvCache,
  cacheAttention,
  type DecodeAnswer,
  denseDecode,
  dequantizeKvCache,
  type HostTensor,
  type PrefillAnswer,
  quantizeKvCache,
  sparseDecode,
  sparsePrefill,
  varlenAttention,
} from '../reference.ts';
import type { Expected } from './compare.ts';
import type { AnswerName, Problem } from './problem.ts';

/** Expected values of each answer of a problem. */
export type ExpectedAnswers = Readonly<Partial<Record<AnswerName, Expected>>>;

/** What the float64 reference says to a problem, in full. */
export function referenceAnswers(problem: Problem): ExpectedAnswers {
  switch (problem.op) {
    case 'dense-decode':
      return attention(denseDecode(problem), problem.headDimV);
    case 'sparse-decode':
      return attention(sparseDecode(problem), problem.headDimV);
    case 'sparse-prefill': {
      const answer: PrefillAnswer = sparsePrefill(problem);
      return { ...attention(answer, problem.dV), max_logits: { values: answer.maxLogits } };
    }
    case 'varlen-attention':
      return attention(varlenAttention(problem), problem.v.shape[2] as number);
    case 'cache-attention':
      return attention(cacheAttention(problem), problem.vCache.shape[3] as number);
    case 'quantize':
      return rows(quantizeKvCache(problem.kCache, problem.layout));
    case 'dequantize':
      return rows(dequantizeKvCache(problem.kCache, problem.layout));
    case 'append':
      return rows(appendKvCache(problem));
  }
}

function attention(
  { out, lse }: DecodeAnswer | AttentionAnswer | PrefillAnswer,
  headDimV: number,
): ExpectedAnswers {
  return { out: { values: out, rowLength: headDimV }, lse: { values: lse } };
}

function rows(tensor: HostTensor): ExpectedAnswers {
  return { out: { values: decodeAll(tensor), rowLength: tensor.shape[3] as number } };
}
