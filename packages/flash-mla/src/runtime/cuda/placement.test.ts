import { describe, expect, it } from 'vitest';
import { placementOfCache } from '../../ops/kernel-lib/cuda/placement-of-cache.ts';
import type { TensorView } from '../tensor/view.ts';
import { limitsOf } from './limits.ts';
import { placementOf } from './placement.ts';
import { fakeFacts } from './testing/fake-driver.ts';

function view(shape: number[], strides: number[], byteOffset = 0): TensorView {
  const buffer = { byteLength: 2 ** 20, address: 0x7f00_0000_0200 };
  return { buffer, byteOffset, dtype: 'bf16', shape, strides };
}

describe('the placement of a tensor', () => {
  it('is as aligned as its address and all its strides', () => {
    expect(placementOf(view([4, 2, 576], [1152, 576, 1]), [0, 1])).toEqual({
      strides: [1152, 576],
      alignment: 16,
    });
    expect(placementOf(view([4, 2, 576], [1152, 576, 1], 8), [0, 1]).alignment).toBe(8);
    expect(placementOf(view([4, 2, 576], [1156, 576, 1]), [0, 1]).alignment).toBe(8);
    expect(placementOf(view([4, 2, 576], [1153, 576, 1]), [0, 1]).alignment).toBe(2);
  });

  it('does not depend on the stride of a dimension with one entry', () => {
    expect(placementOf(view([4, 1, 576], [576, 3, 1]), [0, 1])).toEqual({
      strides: [576, 0],
      alignment: 16,
    });
  });
});

describe('the placement of a cache', () => {
  const cache = (blockStride: number): TensorView => ({
    ...view([4, 64, 1, 584], [blockStride, 584, 584, 1]),
    dtype: 'u8',
  });

  it('knows that rows of model1 are 576 bytes apart', () => {
    expect(placementOfCache(cache(65 * 576), 'model1').alignment).toBe(16);
    expect(placementOfCache(cache(65 * 576 + 8), 'model1').alignment).toBe(8);
    expect(placementOfCache(cache(65 * 576), 'v32').alignment).toBe(8);
  });
});

describe('the PTX target of a GPU', () => {
  const targets = (sm: number) => {
    const { target, specificTarget } = limitsOf({ ...fakeFacts, sm });
    return [target, specificTarget];
  };

  it('is the newest that it runs', () => {
    expect(targets(80)).toEqual(['sm_80', undefined]);
    expect(targets(89)).toEqual(['sm_89', undefined]);
    expect(targets(90)).toEqual(['sm_90', 'sm_90a']);
    expect(targets(120)).toEqual(['sm_120', undefined]);
    expect(targets(999)).toEqual(['sm_121', undefined]);
  });
});
