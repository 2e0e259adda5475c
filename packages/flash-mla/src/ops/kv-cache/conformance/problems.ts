import type { HostTensor } from '@flash-mla/core';
import type { AppendProblem } from '../reference/index.ts';

/** A problem of the KV cache: the arguments of one of its public functions, on the host. */
export type KvCacheProblem = QuantizeKvCache | DequantizeKvCache | AppendKvCache;

/** `quantizeKvCache`. */
export interface QuantizeKvCache {
  readonly op: 'quantize';
  readonly layout: 'v32' | 'model1';
  /** bf16 (blocks, page, 1, dQk). */
  readonly kCache: HostTensor<'bf16'>;
}

/** `dequantizeKvCache`. */
export interface DequantizeKvCache {
  readonly op: 'dequantize';
  readonly layout: 'v32' | 'model1';
  /** u8 (blocks, page, 1, rowBytes). */
  readonly kCache: HostTensor<'u8'>;
}

/** `appendKvCache`. The answer is the cache. */
export interface AppendKvCache extends AppendProblem {
  readonly op: 'append';
}
