import type { Feature } from '@flash-mla/machine-code';
import { describe, expect, it } from 'vitest';
import { vectorFeatures } from './kernels/vectors.ts';
import { selectKernels } from './selection.ts';

const all = new Set<Feature>([...vectorFeatures.avx512, ...vectorFeatures.avx2]);

describe('the choice of kernels', () => {
  it('takes the best that the processor has', () => {
    expect(selectKernels(all)).toEqual({ kind: 'avx512', passedOver: [] });
    expect(selectKernels(new Set(vectorFeatures.avx2))).toEqual({
      kind: 'avx2',
      passedOver: [
        {
          kind: 'avx512',
          reason:
            'the processor or its operating system lacks avx512f, avx512bw, avx512dq, avx512vl',
        },
      ],
    });
  });

  it('takes WebAssembly where there is nothing better, and says why', () => {
    const { kind, passedOver } = selectKernels(new Set<Feature>(['avx', 'f16c']));
    expect(kind).toBe('wasm');
    expect(passedOver.map((each) => each.kind)).toEqual(['avx512', 'avx2']);
    expect(passedOver[1]?.reason).toBe('the processor or its operating system lacks avx2, fma');
  });

  it('passes over what has failed', () => {
    const failed = new Map([['avx512', 'its self-test is off by 3'] as const]);
    expect(selectKernels(all, failed)).toEqual({
      kind: 'avx2',
      passedOver: [{ kind: 'avx512', reason: 'its self-test is off by 3' }],
    });
  });
});
