import type { PropertyOperation } from '../operation.ts';
import { append } from './append.ts';
import { cacheAttention } from './cache-attention.ts';
import { dequantize, quantize } from './conversion.ts';
import { denseDecode } from './dense-decode.ts';
import { sparseDecode } from './sparse-decode.ts';
import { sparsePrefill } from './sparse-prefill.ts';
import { varlenAttention } from './varlen-attention.ts';

/** How often each is drawn, of 22 times: decoding has the most ways to go wrong. */
const shares = [
  [denseDecode, 6],
  [sparseDecode, 5],
  [sparsePrefill, 3],
  [varlenAttention, 2],
  [cacheAttention, 2],
  [quantize, 1],
  [dequantize, 1],
  [append, 2],
] as const;

/** What is drawn from. */
export const propertyOperations: readonly PropertyOperation[] = shares.flatMap(
  ([operation, share]) => Array<PropertyOperation>(share).fill(operation),
);
