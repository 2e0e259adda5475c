import { bytesOf } from '../ir/types.ts';
import { field } from '../layout/shared.ts';
import type { Swizzle } from '../layout/swizzle.ts';
import { asyncCase, type MapShape, makeBarriers } from './async_case.ts';
import type { GoldenCase } from './case.ts';
import { as, random } from './data.ts';

const family = 'tensor_copy';
/** 64 KiB of noise: any pattern is a finite or an infinite number or a NaN, which copies do not mind. */
export const noise = random('b32', 16_384, 301);

/** Copies one box to shared memory and gives the words as they lie there. */
export function load(
  name: string,
  map: MapShape,
  coordinates: readonly number[],
  family = 'tensor_copy',
): GoldenCase {
  const { element, box, elementStrides } = map;
  const elements = box.reduce(
    (n, size, i) => n * Math.ceil(size / (i ? (elementStrides?.[i] ?? 1) : 1)),
    1,
  );
  const bytes = elements * bytesOf(element);
  const words = bytes / 4;
  const shared = { data: field('b32', [words], { align: 1024 }) };
  const options = { input: noise, output: 'b32', count: words, shared, source: map } as const;
  return asyncCase(family, name, options, (k) => {
    const bar = k.shared.bar.at(0);
    makeBarriers(k, 1);
    k.if(k.threadIdx.x.eq(0), () => {
      k.prefetchTensorMap(k.params.source);
      k.tensorPrefetch(k.params.source, coordinates);
      k.mbarrierArriveExpectTx(bar, bytes);
      k.tensorLoad(k.shared.data.at(0), k.params.source, coordinates, bar);
    });
    k.mbarrierWait(bar, 0);
    k.for({ from: k.threadIdx.x, to: words, step: 128 }, (i) => {
      k.params.out.at(i).store(k.shared.data.at(i).load());
    });
  });
}

export const plane: MapShape = { element: 'b32', dims: [40, 60], strides: [192], box: [16, 12] };
/** A page of 64 tokens of 576 bf16, of which a box takes 64 columns of each. */
const page: MapShape = {
  element: 'bf16',
  dims: [64, 16, 9, 3],
  strides: [1152, 128, 18_432],
  box: [64, 16, 9, 1],
  swizzle: '128B',
};

const swizzled = (swizzle: Swizzle, box: number): MapShape => ({
  element: 'bf16',
  dims: [256, 64],
  strides: [512],
  box: [box, 40],
  swizzle,
});

/** Boxes of tensors, loaded. */
export function tensorCopyCases(): GoldenCase[] {
  return [
    load('box', plane, [8, 3]),
    load('box beyond the end', plane, [32, 55]),
    load('box before the start', plane, [-4, -5]),
    load('box far outside', plane, [1000, -1000]),
    load('line', { element: 'u8', dims: [1000], strides: [], box: [64] }, [960]),
    load('128B swizzle', swizzled('128B', 64), [64, 3]),
    load('64B swizzle', swizzled('64B', 32), [32, 5]),
    load('32B swizzle', swizzled('32B', 16), [16, 1]),
    load('page in nine tiles', page, [0, 0, 0, 2]),
    load('page beyond the end', page, [0, 7, 0, 1]),
    load('NaN outside, f32', { ...plane, element: 'f32', oobFill: 'nan' }, [36, 50]),
    load('NaN outside, bf16', { ...swizzled('128B', 64), oobFill: 'nan' }, [224, 50]),
    load(
      'e4m3',
      { element: 'e4m3', dims: [576, 90], strides: [656], box: [128, 8], swizzle: '128B' },
      [512, 4],
    ),
    asyncCase(
      family,
      'multicast',
      {
        input: noise,
        output: 'b32',
        count: 4 * 512,
        grid: 4,
        cluster: 2,
        shared: { data: field('b32', [512], { align: 1024 }) },
        source: { element: 'b32', dims: [32, 64], strides: [128], box: [32, 8], swizzle: '128B' },
      },
      (k) => {
        const bar = k.shared.bar.at(0);
        makeBarriers(k, 1);
        k.if(k.threadIdx.x.eq(0), () => {
          k.mbarrierArriveExpectTx(bar, 2048);
          const row = k.mad(k.clusterIdx.x, 16, k.clusterCtaRank.mul(8));
          k.tensorLoad(
            k.shared.data.at(k.clusterCtaRank.mul(256)),
            k.params.source,
            [0, row],
            bar,
            { multicast: 3, l2Policy: k.cachePolicy('evict_first') },
          );
        });
        k.mbarrierWait(bar, 0);
        k.for({ from: k.threadIdx.x, to: 512, step: 128 }, (i) => {
          k.params.out.at(k.mad(k.blockIdx.x, 512, i)).store(k.shared.data.at(i).load());
        });
        // Nobody leaves while a copy that it began is still on its way to the other.
        k.clusterBarrier();
      },
    ),
    asyncCase(
      family,
      'ring',
      {
        input: as('bf16', noise),
        output: 'b32',
        count: 2048,
        shared: { ring: field('bf16', [2, 32, 64], { swizzle: '128B', arrangement: 'tiles' }) },
        source: { ...swizzled('128B', 64), dims: [64, 512], strides: [128], box: [64, 32] },
      },
      (k) => {
        const { ring, bar } = k.shared;
        makeBarriers(k, 1, 1, 3, 3);
        const rounds = 6;
        k.if(
          k.warpId.eq(3),
          () => {
            k.for({ to: rounds, unroll: false }, (round) => {
              const stage = round.and(1);
              const turned = round.shr(1).and(1);
              k.if(k.laneId.eq(0), () => {
                k.mbarrierWait(bar.at(stage.add(2)), turned.xor(1));
                k.mbarrierArriveExpectTx(bar.at(stage), 4096);
                k.tensorLoad(
                  ring.tile(stage, 0),
                  k.params.source,
                  [0, round.mul(83)],
                  bar.at(stage),
                );
              });
            });
          },
          () => {
            const sum = k.var('b32', 0);
            k.for({ to: rounds, unroll: false }, (round) => {
              const stage = round.and(1);
              k.mbarrierWait(bar.at(stage), round.shr(1).and(1));
              const cell = ring.at(stage, k.laneId, k.warpId.mul(16)).as('b32');
              for (const v of cell.loadVec(4)) sum.set(sum.xor(v));
              k.syncWarp();
              k.if(k.laneId.eq(0), () => k.mbarrierArrive(bar.at(stage.add(2))));
            });
            k.params.out.at(k.threadIdx.x).store(sum);
          },
          { uniform: true },
        );
      },
    ),
  ];
}
