import type { Lifecycle } from '../scheduler/lifecycle.ts';

export interface HiSparseStats {
  /** Tokens that there is room for, and those whose room is taken. */
  readonly device: { readonly totalTokens: number; readonly usedTokens: number };
  readonly host: { readonly totalTokens: number; readonly usedTokens: number };
  /** Requests whose prompt is computed and not yet on the host. */
  readonly staging: number;
  /** Share of what queries attended to that was in the hot buffers, 0 to 1; undefined before the first. */
  readonly hitRate: number | undefined;
  readonly hits: number;
  readonly misses: number;
  readonly bytesSwappedIn: number;
}

/** Undefined where HiSparse is off. */
export function hiSparseStats({ hisparse, kv, running }: Lifecycle): HiSparseStats | undefined {
  if (hisparse === undefined) return undefined;
  const { hits, misses, bytes } = hisparse.swapIn;
  const usage = ({ numPages, numFree }: { numPages: number; numFree: number }) => ({
    totalTokens: numPages * kv.pageSize,
    usedTokens: (numPages - numFree) * kv.pageSize,
  });
  let staging = 0;
  for (const { state } of running) if (state.kind === 'staging') staging++;
  return {
    device: usage(hisparse.pool),
    host: usage(kv.pool),
    staging,
    hitRate: hits + misses > 0 ? hits / (hits + misses) : undefined,
    hits,
    misses,
    bytesSwappedIn: bytes,
  };
}
