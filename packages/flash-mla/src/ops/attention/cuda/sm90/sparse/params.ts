import { array, global, type ParamDecls } from '@flash-mla/ptx';
import { scheduleParams } from '../../decode-params.ts';
import { decodeResultParams } from '../../decode-results.ts';

export const sparseParams = {
  q: global('bf16'),
  /** Caches; numbers of tokens per query; entries that count per request, or address 0: all. */
  mainCache: global('u8'),
  mainIndices: global('s32'),
  mainLengths: global('s32'),
  extraCache: global('u8'),
  extraIndices: global('s32'),
  extraLengths: global('s32'),
  ...scheduleParams,
  ...decodeResultParams('bf16'),
  /** (hQ), natural. */
  sink: global('f32'),
  /** Elements between requests, queries and heads; of indices between requests and queries. */
  qStrides: array('u64', 3),
  mainIndexStrides: array('u64', 2),
  extraIndexStrides: array('u64', 2),
  /** 16 bytes between blocks and between tokens. */
  mainStrides: array('u32', 2),
  extraStrides: array('u32', 2),
  mainTopk: 's32',
  extraTopk: 's32',
  /** Tokens of the caches. */
  mainTokens: 'u32',
  extraTokens: 'u32',
  /** Softmax scale · log2 e. */
  scale: 'f32',
} as const satisfies ParamDecls;

export type SparseParams = typeof sparseParams;
