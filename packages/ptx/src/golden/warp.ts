import { segmentMax, segmentSum } from '../library/reduce.ts';
import { type GoldenCase, warpCase } from './case.ts';
import { as, data, random, uniform } from './data.ts';

const family = 'warp';

/** Shuffles, votes, matches and reductions over the lanes of a warp. */
export function warpCases(): GoldenCase[] {
  const x = random('u32', 32, 71);
  const few = data(
    'u32',
    Array.from({ length: 32 }, (_, i) => (i * i) % 5),
  );
  const word = { input: x, output: 'u32', count: 256 } as const;
  return [
    warpCase(family, 'shfl idx', word, (k) => {
      const v = k.params.x.at(k.laneId).load();
      const out = k.params.out.at(k.laneId);
      out.store(k.shuffle(v, k.laneId.mul(7)));
      out.at(32).store(k.shuffle(v, k.laneId.mul(3), { width: 8 }));
      out.at(64).store(k.shuffle(v, 5));
    }),
    warpCase(family, 'shfl up', word, (k) => {
      const v = k.params.x.at(k.laneId).load();
      const out = k.params.out.at(k.laneId);
      out.store(k.shuffleUp(v, 1));
      out.at(32).store(k.shuffleUp(v, 3, { width: 8 }));
      out.at(64).store(k.shuffleUp(v, k.laneId.and(7)));
    }),
    warpCase(family, 'shfl down', word, (k) => {
      const v = k.params.x.at(k.laneId).load();
      const out = k.params.out.at(k.laneId);
      out.store(k.shuffleDown(v, 1));
      out.at(32).store(k.shuffleDown(v, 3, { width: 8 }));
      out.at(64).store(k.shuffleDown(v, k.laneId.and(7)));
    }),
    warpCase(family, 'shfl bfly', word, (k) => {
      const v = k.params.x.at(k.laneId).load();
      const out = k.params.out.at(k.laneId);
      out.store(k.shuffleXor(v, 16));
      out.at(32).store(k.shuffleXor(v, 5, { width: 4 }));
      out.at(64).store(k.shuffleXor(v, 7, { width: 16 }));
    }),
    warpCase(family, 'shfl in half a warp', { ...word, initial: new Uint8Array(1024) }, (k) => {
      const v = k.params.x.at(k.laneId).load();
      k.if(k.laneId.lt(16), () => {
        k.params.out.at(k.laneId).store(k.shuffleXor(v, 3, { mask: 0xffff }));
      });
    }),
    warpCase(family, 'vote', { ...word, input: few }, (k) => {
      const v = k.params.x.at(k.laneId).load();
      const out = k.params.out.at(k.laneId);
      const bit = (p: ReturnType<typeof k.all>) => k.select(p, 1, 0, 'u32');
      out.store(k.ballot(v.gt(1)).as('u32'));
      out.at(32).store(bit(k.all(v.lt(5))).add(bit(k.all(v.lt(4))).shl(1)));
      out.at(64).store(bit(k.any(v.eq(3))).add(bit(k.any(v.eq(9))).shl(1)));
      out.at(96).store(bit(k.uniform(v.lt(9))).add(bit(k.uniform(v.lt(2))).shl(1)));
      k.if(k.laneId.ge(20), () => {
        out.at(128).store(k.ballot(v.eq(4), 0xfff00000).as('u32'));
        out.at(160).store(k.activeMask().as('u32'));
      });
    }),
    warpCase(family, 'match', { ...word, input: few }, (k) => {
      const v = k.params.x.at(k.laneId).load();
      const out = k.params.out.at(k.laneId);
      out.store(k.matchAny(v).as('u32'));
      const [all, same] = k.matchAll(v.and(0));
      out.at(32).store(all.as('u32').add(k.select(same, 1, 0, 'u32')));
      const [none, differ] = k.matchAll(v);
      out.at(64).store(none.as('u32').add(k.select(differ, 1, 0, 'u32')));
    }),
    warpCase(family, 'redux', word, (k) => {
      const v = k.params.x.at(k.laneId).load();
      const out = k.params.out.at(k.laneId);
      out.store(k.reduce('add', v));
      out.at(32).store(k.reduce('min', v));
      out.at(64).store(k.reduce('max', v));
      out.at(96).store(k.reduce('min', v.as('s32')).as('u32'));
      out.at(128).store(k.reduce('max', v.as('s32')).as('u32'));
      out.at(160).store(k.reduce('xor', v.as('b32')).as('u32'));
      k.if(k.laneId.lt(7), () => {
        out.at(192).store(k.reduce('and', v.as('b32'), 0x7f).as('u32'));
        out.at(224).store(k.reduce('or', v.as('b32'), 0x7f).as('u32'));
      });
    }),
    warpCase(
      family,
      'segment sums',
      { input: as('f32', uniform('f32', 32, 72)), output: 'f32', count: 96 },
      (k) => {
        const v = k.params.x.at(k.laneId).load();
        const out = k.params.out.at(k.laneId);
        out.store(segmentSum(k, v));
        out.at(32).store(segmentMax(k, v, 4));
        out.at(64).store(segmentSum(k, v, 32, 4));
      },
    ),
    warpCase(
      family,
      'special registers',
      { ...word, threads: 64, grid: 2, count: 128 * 8 },
      (k) => {
        const index = k.mad(k.blockIdx.x, 64, k.threadIdx.x);
        const out = k.params.out.at(index.mul(8));
        const values = [k.laneId, k.warpId, k.blockDim.x, k.gridDim.x, k.gridDim.y];
        const masks = (['lanemask_lt', 'lanemask_le', 'lanemask_gt'] as const).map((r) =>
          k.special(r),
        );
        [...values, ...masks].forEach((v, i) => {
          out.at(i).store(v);
        });
      },
    ),
  ];
}
