import { array, global, type ParamDecls, type ParamValues, tensorMap } from '@flash-mla/ptx';

export const prefillParams = {
  /** (64 columns, heads, queries, tiles of columns). */
  q: tensorMap('bf16'),
  kv: global('bf16'),
  indices: global('s32'),
  /** (sQ): entries that count, or address 0: all. */
  lengths: global('s32'),
  /** (hQ), natural. */
  sink: global('f32'),
  /** (sQ, hQ, dV). */
  out: global('bf16'),
  /** (sQ, hQ), natural log. */
  maxLogits: global('f32'),
  lse: global('f32'),
  /** Elements between rows and between heads; of indices between queries and heads. */
  rowStride: 'u32',
  headStride: 'u64',
  indexStrides: array('u64', 2),
  topk: 's32',
  seqLenQ: 'u32',
  seqLenKv: 'u32',
  numHeadsQ: 'u32',
  /** Query heads that share a KV head, the tiles they fill, and those of all heads of a query. */
  groupSize: 'u32',
  tilesPerGroup: 'u32',
  tilesPerQuery: 'u32',
  /** Softmax scale, and that · log2 e. */
  naturalScale: 'f32',
  scale: 'f32',
} as const satisfies ParamDecls;

export type PrefillParams = typeof prefillParams;
export type Params = ParamValues<PrefillParams>;
