import { describe, expect, it } from 'vitest';
import {
  DeclarationError,
  encodeTensorMap,
  field,
  type Swizzle,
  type TensorMapDescription,
} from '../index.ts';
import { runAsync } from '../testing/async.ts';
import { faultOf } from '../testing/run.ts';
import { decodeTensorMap } from './tensor-map.ts';

type Shape = Omit<TensorMapDescription, 'address'>;

/** Loads one box and gives the words as they lie in shared memory. */
function box(map: Shape, coordinates: readonly number[], x?: ArrayBufferView): Uint32Array {
  const words = map.box.reduce((a, b) => a * b, 1) * (/16$|16/.test(map.element) ? 0.5 : 1);
  return runAsync(
    {
      shared: { data: field('u32', [words], { align: 1024 }) },
      outputs: words,
      map,
      ...(x && { x }),
    },
    (k) => {
      const bar = k.shared.bar.at(0);
      k.if(k.threadIdx.x.eq(0), () => {
        k.mbarrierInit(bar, 1);
        k.fenceMbarrierInit();
        k.mbarrierArriveExpectTx(bar, words * 4);
        k.tensorLoad(k.shared.data.at(0), k.params.map, coordinates, bar);
      });
      k.syncWarp();
      k.mbarrierWait(bar, 0);
      k.for({ from: k.laneId, to: words, step: 32 }, (i) => {
        k.params.out.at(i).store(k.shared.data.at(i).load());
      });
    },
  );
}

const plane: Shape = { element: 'u32', dims: [16, 16], strides: [64], box: [8, 4] };

describe('boxes', () => {
  it('are rows of the tensor', () => {
    const words = box(plane, [4, 2]);
    expect([...words.subarray(0, 9)]).toEqual([36, 37, 38, 39, 40, 41, 42, 43, 52]);
    expect(words[31]).toBe((2 + 3) * 16 + 4 + 7);
  });

  it('are zero outside of the tensor, on every side', () => {
    const words = box(plane, [-4, -1]);
    expect([...words.subarray(0, 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...words.subarray(8, 16)]).toEqual([0, 0, 0, 0, 0, 1, 2, 3]);
    const corner = box(plane, [12, 15]);
    expect([...corner]).toEqual([252, 253, 254, 255, ...new Array(28).fill(0)]);
    expect([...box(plane, [100, -100])]).toEqual(new Array(32).fill(0));
  });

  it('are NaN outside of the tensor where the map says so', () => {
    const floats: Shape = { ...plane, element: 'f32', oobFill: 'nan' };
    const words = box(floats, [12, 0], new Float32Array(256).fill(1));
    const outside = new Array(4).fill(0x7ff77ff7);
    expect([...words.subarray(0, 8)]).toEqual([...new Array(4).fill(0x3f800000), ...outside]);
  });

  it('have up to five dimensions, strides of their own and element strides', () => {
    const words = box(
      {
        element: 'u32',
        dims: [4, 3, 2, 5, 2],
        strides: [16, 64, 256, 2048],
        box: [4, 3, 1, 4, 1],
        elementStrides: [1, 1, 1, 1, 1],
      },
      [0, 1, 1, 3, 1],
    );
    const at = (a: number, b: number) => (b > 2 ? 0 : (16 * b + 64 + 256 * a + 2048) / 4);
    expect(words[0]).toBe(at(3, 1));
    expect(words[4]).toBe(at(3, 2));
    expect(words[8]).toBe(0);
    expect(words[12]).toBe(at(4, 1));
    expect(words[24]).toBe(0);
    const strided = runAsync(
      {
        shared: { data: field('u32', [64], { align: 128 }) },
        map: { ...plane, box: [8, 8], elementStrides: [1, 2] },
      },
      (k) => {
        const bar = k.shared.bar.at(0);
        k.if(k.threadIdx.x.eq(0), () => {
          k.mbarrierInit(bar, 1);
          k.fenceMbarrierInit();
          k.mbarrierArriveExpectTx(bar, 8 * 4 * 4);
          k.tensorLoad(k.shared.data.at(0), k.params.map, [0, 1], bar);
          k.mbarrierWait(bar, 0);
        });
        k.syncWarp();
        k.params.out.at(k.laneId).store(k.shared.data.at(k.laneId).load());
      },
    );
    expect([0, 8, 16, 24].map((i) => strided[i])).toEqual([16, 48, 80, 112]);
  });

  for (const swizzle of ['128B', '64B', '32B'] as const satisfies Swizzle[]) {
    it(`are permuted by the ${swizzle} swizzle as shared fields expect it`, () => {
      const width = Number.parseInt(swizzle, 10) / 4;
      const shared = { tile: field('u32', [2, 16, width], { swizzle, arrangement: 'tiles' }) };
      const map: Shape = {
        element: 'u32',
        dims: [32, 32],
        strides: [128],
        box: [width, 16],
        swizzle,
      };
      const out = runAsync({ shared, map, outputs: 16 * width }, (k) => {
        const bar = k.shared.bar.at(0);
        k.if(k.threadIdx.x.eq(0), () => {
          k.mbarrierInit(bar, 1);
          k.fenceMbarrierInit();
          k.mbarrierArriveExpectTx(bar, 16 * width * 4);
          k.tensorLoad(k.shared.tile.tile(1, 0), k.params.map, [0, 5], bar);
          k.mbarrierWait(bar, 0);
        });
        k.syncWarp();
        k.for({ from: k.laneId, to: 16 * width, step: 32 }, (i) => {
          const at = k.shared.tile.at(1, i.div(width), i.rem(width));
          k.params.out.at(i).store(at.load());
        });
      });
      const expected = Array.from(
        { length: 16 * width },
        (_, i) => (5 + Math.floor(i / width)) * 32 + (i % width),
      );
      expect([...out]).toEqual(expected);
    });
  }

  it('have rows that constants and columns that values name, inside of a loop', () => {
    const shared = { tile: field('u32', [2, 8, 32], { swizzle: '128B', arrangement: 'tiles' }) };
    const out = runAsync({ shared }, (k) => {
      k.for({ to: 2 }, (stage) => {
        for (let row = 0; row < 8; row++) k.shared.tile.at(stage, row, k.laneId).store(row);
      });
      k.syncWarp();
      k.params.out.at(k.laneId).store(k.shared.tile.at(1, 5, k.laneId.xor(3)).load());
    });
    expect(out[7]).toBe(5);
  });

  it('are stored back the same way, cut off at the edge', () => {
    const map: Shape = {
      element: 'u32',
      dims: [40, 3],
      strides: [192],
      box: [32, 4],
      swizzle: '128B',
    };
    const shared = { tile: field('u32', [4, 32], { swizzle: '128B', arrangement: 'tiles' }) };
    const out = runAsync({ shared, map, mapOut: true, outputs: 144 }, (k) => {
      for (let row = 0; row < 4; row++) {
        k.shared.tile.at(row, k.laneId).store(k.laneId.add(100 * row + 1));
      }
      k.fenceProxyAsync('shared::cta');
      k.syncWarp();
      k.if(k.threadIdx.x.eq(0), () => {
        k.tensorStore(k.params.map, [16, 1], k.shared.tile.tile(0));
        k.bulkCommit();
        k.bulkWait(0);
      });
    });
    const expected = Array.from({ length: 144 }, (_, i) => {
      const [row, column] = [Math.floor(i / 48), i % 48];
      const inside = row >= 1 && column >= 16 && column < 40;
      return inside ? (row - 1) * 100 + column - 16 + 1 : 0;
    });
    expect([...out]).toEqual(expected);
  });

  it('must lie in what is allocated, though not in the tensor', () => {
    const tall: Shape = { ...plane, dims: [16, 65] };
    const { problem } = faultOf('out of bounds', () => box(tall, [8, 62]));
    expect(problem).toMatch(/32 bytes of global memory, .* past the end|starting/);
    faultOf('misaligned', () =>
      runAsync({ shared: { data: field('u32', [256], { align: 1024 }) } }, (k) => {
        k.tensorStore(k.params.map, [0, 0], k.shared.data.at(16));
      }),
    );
  });

  it('start at multiples of 16 bytes', () => {
    const { problem } = faultOf('misaligned', () => box(plane, [-3, 0]));
    expect(problem).toContain('(-3, 0) starts -12 bytes into its row');
  });

  it('are not stored below 0', () => {
    const shared = { data: field('u32', [32], { align: 128 }) };
    const { problem } = faultOf('out of bounds', () =>
      runAsync({ shared, map: plane, mapOut: true }, (k) => {
        k.tensorStore(k.params.map, [0, -1], k.shared.data.at(0));
      }),
    );
    expect(problem).toContain('(0, -1) of a store');
  });

  it('have the coordinates that the map has dimensions', () => {
    const { problem } = faultOf('out of bounds', () => box(plane, [0, 0, 0]));
    expect(problem).toContain('3 coordinates for a tensor map of 2 dimensions');
  });
});

describe('a tensor map', () => {
  const good: TensorMapDescription = { ...plane, address: 4096 };

  it('keeps everything', () => {
    const map: TensorMapDescription = {
      element: 'bf16',
      address: 0x7f12_3456_7890,
      dims: [2 ** 32, 64, 3],
      strides: [2 ** 40 - 16, 16],
      box: [64, 256, 1],
      elementStrides: [1, 8, 1],
      swizzle: '128B',
      oobFill: 'nan',
    };
    expect(decodeTensorMap(encodeTensorMap(map))).toMatchObject({
      element: 'bf16',
      address: 0x7f12_3456_7890,
      dims: [2 ** 32, 64, 3],
      strides: [2, 2 ** 40 - 16, 16],
      box: [64, 256, 1],
      elementStrides: [1, 8, 1],
      nan: true,
    });
  });

  const wrong: [string, Partial<TensorMapDescription>, RegExp][] = [
    ['address', { address: 8 }, /multiple of 16, got 8/],
    ['rank', { dims: [1, 1, 1, 1, 1, 1] }, /1 to 5 dimensions, not 6/],
    ['dims', { dims: [16, 0] }, /dims must be 1 to 2\^32/],
    ['strides', { strides: [24] }, /multiples of 16 bytes/],
    ['number of strides', { strides: [] }, /needs 1 strides/],
    ['box', { box: [8, 257] }, /box sizes from 1 to 256/],
    ['rows of the box', { box: [6, 4] }, /multiples of 16 bytes, got 24/],
    ['wide row', { box: [64, 4], swizzle: '128B' }, /as wide as the 128B swizzle, got 256/],
    ['narrow row', { box: [8, 4], swizzle: '64B' }, /as wide as the 64B swizzle, got 32/],
    ['element strides', { elementStrides: [1, 9] }, /element strides from 1 to 8/],
    ['filling', { oobFill: 'nan' }, /only floats/],
  ];
  for (const [what, change, message] of wrong) {
    it(`is refused with an impossible ${what}`, () => {
      expect(() => encodeTensorMap({ ...good, ...change })).toThrow(DeclarationError);
      expect(() => encodeTensorMap({ ...good, ...change })).toThrow(message);
    });
  }
});
