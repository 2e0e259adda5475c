import type { Feature } from '@flash-mla/machine-code';
import { describe, expect, it } from 'vitest';
import { vectorFeatures } from './kernels/features.ts';
import { selectKernels } from './selection.ts';

const all: readonly Feature[] = [...vectorFeatures.avx512, ...vectorFeatures.avx2];
const processor = (features: readonly Feature[], name = 'some processor') => ({
  name,
  features: new Set(features),
});

describe('the choice of kernels', () => {
  it('takes the best that the processor has', () => {
    const amx = [...all, 'amx_tile', 'amx_bf16'] as const;
    const best = { kind: 'amx', bf16Products: true, passedOver: [] };
    expect(selectKernels(processor(amx))).toEqual(best);
    const noTiles = 'the processor or its operating system lacks amx_tile, amx_bf16';
    expect(selectKernels(processor(all))).toEqual({
      kind: 'avx512',
      bf16Products: false,
      passedOver: [{ kind: 'amx', reason: noTiles }],
    });
    expect(selectKernels(processor(vectorFeatures.avx2))).toEqual({
      kind: 'avx2',
      bf16Products: false,
      passedOver: [
        expect.objectContaining({ kind: 'amx' }),
        {
          kind: 'avx512',
          reason:
            'the processor or its operating system lacks avx512f, avx512bw, avx512dq, avx512vl',
        },
      ],
    });
  });

  it('takes WebAssembly where there is nothing better, and says why', () => {
    const { kind, passedOver } = selectKernels(processor(['avx', 'f16c']));
    expect(kind).toBe('wasm');
    expect(passedOver.map((each) => each.kind)).toEqual(['amx', 'avx512', 'avx2']);
    expect(passedOver[2]?.reason).toBe('the processor or its operating system lacks avx2, fma');
  });

  it('multiplies pairs of bf16 where that is faster', () => {
    const withBf16 = [...all, 'avx512_bf16'] as const;
    const gains = (name: string, features: readonly Feature[]) =>
      selectKernels(processor(features, name)).bf16Products;
    expect(gains('AMD EPYC 9654', withBf16)).toBe(true);
    expect(gains('AMD EPYC 7763', all)).toBe(false);
    expect(gains('Intel(R) Xeon(R) Platinum', withBf16)).toBe(false);
  });

  it('passes over what has failed', () => {
    const failed = new Map([['avx512', 'its self-test is off by 3'] as const]);
    expect(selectKernels(processor(all), failed)).toEqual({
      kind: 'avx2',
      bf16Products: false,
      passedOver: [
        expect.objectContaining({ kind: 'amx' }),
        { kind: 'avx512', reason: 'its self-test is off by 3' },
      ],
    });
  });
});
