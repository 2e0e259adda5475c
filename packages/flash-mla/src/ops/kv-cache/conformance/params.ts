import type { CallVariant } from '../../conformance/suite/call-variant.ts';

/** What a conformance case of the KV cache says about its problem. */
export type KvCacheParams = ConversionParams | AppendParams;

export interface ConversionParams extends CallVariant {
  readonly op: 'quantize' | 'dequantize';
  readonly layout: 'v32' | 'model1';
  readonly blocks: number;
  readonly page: number;
}

/** Rows for some tokens of a cache, in any order, and some for none. */
export interface AppendParams extends CallVariant {
  readonly op: 'append';
  /** The row format, or the dtype of a plain cache. */
  readonly layout: 'v32' | 'model1' | 'bf16' | 'f16' | 'e4m3';
  readonly blocks: number;
  readonly page: number;
  /** Rows to append, a third of them to no token. */
  readonly rows: number;
  /** Plain caches only; default 1 and 576. */
  readonly hKv?: number;
  readonly dQk?: number;
  /** Slots of 64 bits. */
  readonly longSlots?: boolean;
}
