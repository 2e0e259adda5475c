import type { Feature } from '@flash-mla/machine-code';

/** Kinds of vectors that kernels are written for once and assembled with. */
export type VectorKind = 'avx512' | 'avx2';

/** What the instructions of each kind need of the processor. */
export const vectorFeatures: Readonly<Record<VectorKind, readonly Feature[]>> = {
  avx512: ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl'],
  avx2: ['avx2', 'fma', 'f16c'],
};

/** What kernels for bf16 tokens in place need. */
export const rowsBf16Features = [...vectorFeatures.avx512, 'avx512_bf16'] as const;
export const rowsAmxFeatures = [...vectorFeatures.avx512, 'amx_tile', 'amx_bf16'] as const;

/** Tokens that they take at once. With AMX, outputs are loaded into tiles and stored once for as many. */
export const rowsBf16Tokens = 64;
export const rowsAmxTokens = 256;
