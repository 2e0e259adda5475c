import type { Problem } from '../../problem.ts';
import type { CaseParams, ScheduleParams } from '../params.ts';
import { Random } from '../random.ts';
import { generateAppend } from './append.ts';
import { generateCacheAttention, generateVarlen } from './attention.ts';
import { generateDequantize, generateQuantize } from './conversion.ts';
import { generateDense } from './dense.ts';
import { generatePrefill } from './prefill.ts';
import { generateSparse } from './sparse.ts';

/** The problem of a case. The same name gives the same data, everywhere. */
export function generateProblem(
  name: string,
  params: Exclude<CaseParams, ScheduleParams>,
): Problem {
  const random = new Random(name);
  switch (params.op) {
    case 'dense-decode':
      return generateDense(params, random);
    case 'sparse-decode':
      return generateSparse(params, random);
    case 'sparse-prefill':
      return generatePrefill(params, random);
    case 'varlen-attention':
      return generateVarlen(params, random);
    case 'cache-attention':
      return generateCacheAttention(params, random);
    case 'quantize':
      return generateQuantize(params, random);
    case 'dequantize':
      return generateDequantize(params, random);
    case 'append':
      return generateAppend(params, random);
  }
}
