import { describe, expect, it } from 'vitest';
import { decodeGeometry } from '../../../kernel-lib/cuda/sm90/geometry.ts';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import { denseProblem } from '../testing/dense-problem.ts';
import { dataOf, decode, expectRight, type Walk } from '../testing/walks.ts';
import { withHeadDims } from '../testing/with-head-dims.ts';
import { hopperDenseDecode } from './sm90_dense_decode_launch.ts';

const limits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };

describe('dense decode on warp groups', () => {
  it('takes the problems it is made for', () => {
    const takes = (changes: Partial<DenseDecodeProblem>) =>
      hopperDenseDecode.accepts(denseProblem(changes));
    expect(takes({})).toBe(true);
    expect(takes({ dtype: 'f16', numHeadsQ: 17, pageSize: 256 })).toBe(true);
    expect(takes({ numHeadsQ: 8, seqLenQ: 4 })).toBe(true);
    expect(takes({ numHeadsQ: 16 })).toBe(true);
    expect(takes({ dtype: 'e4m3' })).toBe(false);
    expect(takes({ pageSize: 48 })).toBe(false);
    expect(takes({ headDimV: 256 })).toBe(false);
    expect(takes({ kCache: { strides: [36864, 576, 0], alignment: 8 } })).toBe(false);
  });

  it('pairs the CTAs of an even number of row tiles', () => {
    const main = (changes: Partial<DenseDecodeProblem>) =>
      hopperDenseDecode.plan(denseProblem(changes), limits).launches.main;
    expect(main({})).toMatchObject({ grid: [2, 1, 66], cluster: [2, 1, 1] });
    expect(main({ numHeadsQ: 64 })).toMatchObject({ grid: [1, 1, 66] });
    expect(main({ numHeadsQ: 64 })?.cluster).toBeUndefined();
    expect(main({ numHeadsQ: 64, seqLenQ: 3 })).toMatchObject({ grid: [3, 1, 66] });
  });

  const shapes = (['bf16', 'f16'] as const).flatMap((dtype) =>
    [64, 128, 256].flatMap((numHeadsQ) =>
      [64, 256].map((pageSize) => ({ dtype, outDtype: dtype, numHeadsQ, pageSize })),
    ),
  );
  itAssembles(
    shapes.map((shape) => ({
      name: Object.values(shape).join(' '),
      launch: (target) =>
        target === 'sm_90a'
          ? hopperDenseDecode.plan(denseProblem(shape), limits).launches.main
          : undefined,
    })),
  );
});

// DeepSeek's own are run by the conformance suite on a simulated Hopper.
describe('dense decode of other head dimensions in the simulator', () => {
  const headDims = { headDimQk: 320, headDimV: 256 };
  const operation = withHeadDims(hopperDenseDecode, headDims);

  it.each<Walk & { readonly dtype: 'bf16' | 'f16' }>([
    {
      name: 'one tile of rows, splits of 1 to 4 blocks',
      ...{
        hQ: 63,
        lengths: [580, 0, 330],
        numParts: 5,
        splits: [3, 1, 3],
        dtype: 'bf16',
        headDims,
      },
    },
    {
      name: 'clusters, causal',
      ...{ hQ: 64, sQ: 2, causal: true, lengths: [130, 65], numParts: 1, splits: [1, 1] },
      ...{ dtype: 'f16', headDims },
    },
  ])('$name', (walk) => {
    const data = dataOf(walk.dtype, walk);
    expectRight(walk, data, decode(operation, data, walk));
  });

  it('refuses to build what its consumers cannot share', () => {
    const geometry = (headDimQk: number, headDimV: number) => () =>
      decodeGeometry({ headDimQk, headDimV });
    expect(geometry(576, 512)()).toMatchObject({ keyTiles: 9, valueTiles: 8, ownChunks: 2 });
    expect(geometry(512, 512)()).toMatchObject({ keyTiles: 8, releasedParts: 2 });
    for (const [qk, v] of [
      [576, 448],
      [640, 512],
      [448, 512],
      [192, 128],
    ] as const) {
      expect(geometry(qk, v)).toThrow(RangeError);
    }
  });
});
