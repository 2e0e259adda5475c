import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import type { DenseAttentionProblem } from '../problems.ts';
import {
  type CachedAttention,
  expectCached,
  expectPacked,
  type PackedAttention,
} from '../testing/dense-attention.ts';
import { hopperDenseAttention } from './sm90_dense_attention_launch.ts';

const on = { gpu: 'h200', smCount: 3, limits: { specificTarget: 'sm_90a' } } as const;
const bf16 = { ...on, dtype: 'bf16' } as const;
const mha = { hQ: 2, hK: 2, dQk: 192, dV: 128 } as const;

describe('dense attention on warp groups, in the simulator', () => {
  const packed: PackedAttention[] = [
    { ...bf16, ...mha, q: [70], k: [300], causal: true },
    { ...bf16, ...mha, q: [150, 0, 37, 1], k: [170, 5, 37, 0], causal: true, hK: 1 },
    { ...bf16, ...mha, q: [140, 260], k: [140, 100], causal: true, gap: 8 },
    { ...bf16, hQ: 6, hK: 2, dQk: 128, dV: 128, q: [70, 3], k: [300, 129], causal: false },
    { ...on, dtype: 'f16', hQ: 8, hK: 1, dQk: 128, dV: 128, q: [20], k: [140], causal: true },
    { ...bf16, hQ: 1, hK: 1, dQk: 256, dV: 256, q: [130], k: [190], causal: true },
  ];
  it.each(packed)('equals the reference on packed sequences: %o', (options) =>
    expectPacked(hopperDenseAttention, options));

  const cached: CachedAttention[] = [
    { ...bf16, sQ: 40, page: 16, paged: true, ...mha, causal: true },
    { ...bf16, sQ: 24, page: 64, paged: true, hQ: 8, hK: 2, dQk: 128, dV: 128, causal: true },
    { ...bf16, sQ: 64, page: 256, paged: true, hQ: 1, hK: 1, dQk: 256, dV: 256, causal: false },
    { ...bf16, sQ: 33, page: 130, paged: false, hQ: 4, hK: 1, dQk: 128, dV: 128, causal: true },
  ];
  it.each(cached)('equals the reference over a cache: %o', (options) =>
    expectCached(hopperDenseAttention, options));
});
