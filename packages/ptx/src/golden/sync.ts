import type { Value } from '../builder/value.ts';
import { field } from '../layout/shared.ts';
import { type GoldenCase, warpCase } from './case.ts';
import { random } from './data.ts';

const family = 'sync';

/** Barriers, fences and waiting, in programs whose results depend on them. */
export function syncCases(): GoldenCase[] {
  const x = random('u32', 256, 95);
  const shared = { s: field('u32', [2, 128]) };
  const words = { input: x, output: 'u32', count: 128, threads: 128, shared } as const;
  return [
    warpCase(family, 'bar.sync', words, (k) => {
      const me = k.threadIdx.x;
      k.shared.s.at(0, me).store(k.params.x.at(me).load());
      const v = k.var('u32', 0);
      for (let round = 0; round < 4; round++) {
        k.barrier();
        v.set(
          k.shared.s
            .at(round & 1, me.add(37).and(127))
            .load()
            .add(v),
        );
        k.shared.s.at((round & 1) ^ 1, me).store(v);
      }
      k.params.out.at(me).store(v);
    }),
    warpCase(family, 'named barriers', words, (k) => {
      const me = k.threadIdx.x;
      // Warps 0 and 1 produce, warps 2 and 3 consume, through barriers 1 (full) and 2 (empty).
      k.if(
        me.lt(64),
        () => {
          for (let round = 0; round < 3; round++) {
            if (round > 0) k.barrier(2, 128);
            k.shared.s.at(0, me).store(k.params.x.at(me.add(round * 64)).load());
            k.barrierArrive(1, 128);
          }
        },
        () => {
          const sum = k.var('u32', 0);
          for (let round = 0; round < 3; round++) {
            k.barrier(1, 128);
            sum.addTo(k.shared.s.at(0, me.sub(64).xor(33)).load());
            if (round < 2) k.barrierArrive(2, 128);
          }
          k.params.out.at(me).store(sum);
        },
        { uniform: true },
      );
    }),
    warpCase(family, 'barriers that vote', words, (k) => {
      const me = k.threadIdx.x;
      const v = k.params.x.at(me).load().and(127);
      const bits = k.var('u32', 0);
      const note = (p: Value<'pred'>) => bits.set(bits.shl(1).or(k.select(p, 1, 0, 'u32')));
      // Of the whole CTA: nobody, one thread, all but one, everybody.
      note(k.barrierAny(v.gt(127)));
      note(k.barrierAny(me.eq(77)));
      note(k.barrierAll(me.ne(77)));
      note(k.barrierAll(v.lt(128)));
      // Of pairs of warps, by barriers named by numbers and by registers.
      k.if(
        me.lt(64),
        () => {
          note(k.barrierAny(me.eq(40), 1, 64));
          note(k.barrierAll(me.ne(3), 1, 64));
        },
        () => {
          const id = k.select(me.lt(64), 3, 2, 'u32');
          note(k.barrierAny(me.eq(40), id, 64));
          note(k.barrierAll(me.ne(3), id, 64));
        },
        { uniform: true },
      );
      k.params.out.at(me).store(bits.or(v.shl(8)));
    }),
    warpCase(
      family,
      'last CTA',
      // Word 16 counts arrivals; the last CTA adds up what all of them wrote.
      { ...words, threads: 32, grid: 8, count: 32, initial: new Uint8Array(128) },
      (k) => {
        const { out, x: input } = k.params;
        const partial = k.reduce('add', input.at(k.mad(k.blockIdx.x, 32, k.laneId)).load());
        const last = k.var('u32', 0);
        k.if(k.laneId.eq(0), () => {
          out.at(k.blockIdx.x).store(partial);
          k.fence('gpu');
          last.set(k.atomicAdd(out.at(16), 1));
          k.fence('gpu');
          k.if(last.eq(7), () => {
            const sum = k.var('u32', 0);
            for (let i = 0; i < 8; i++) sum.addTo(out.at(i).load());
            out.at(17).store(sum);
          });
        });
      },
    ),
    warpCase(
      family,
      'waiting for another CTA',
      { ...words, threads: 32, grid: 4, count: 32, initial: new Uint8Array(128) },
      (k) => {
        const { out } = k.params;
        // CTA i waits until CTA i + 1 has released its flag; the last one starts.
        k.if(k.laneId.eq(0), () => {
          const next = k.blockIdx.x.add(1);
          const got = k.var('u32', 0);
          k.if(next.lt(4), () => {
            k.while(
              () => out.at(next).load({ acquire: 'gpu' }).eq(0),
              () => k.nanosleep(50),
            );
            got.set(out.at(next).at(8).load());
          });
          out
            .at(k.blockIdx.x)
            .at(8)
            .store(got.add(k.params.x.at(k.blockIdx.x).load()));
          out.at(k.blockIdx.x).store(1, { release: 'gpu' });
        });
      },
    ),
  ];
}
