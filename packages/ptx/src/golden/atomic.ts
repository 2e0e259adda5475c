import { field } from '../layout/shared.ts';
import { type GoldenCase, warpCase } from './case.ts';
import { as, data, random } from './data.ts';

const family = 'atomic';

/** Atomics whose outcome does not depend on the order of the lanes. */
export function atomicCases(): GoldenCase[] {
  const x = random('u32', 128, 91);
  const start = random('u32', 16, 92).bytes;
  const shared = { s: field('u32', [16], { align: 128 }) };
  const words = { input: x, output: 'u32', count: 16, initial: start, threads: 128 } as const;
  return [
    warpCase(family, 'global integers', words, (k) => {
      const v = k.params.x.at(k.threadIdx.x).load();
      const { out } = k.params;
      k.reduceAdd(out, v);
      k.reduceMin(out.at(1), v);
      k.reduceMax(out.at(2), v);
      k.reduceMin(out.at(3).as('s32'), v.as('s32'));
      k.reduceMax(out.at(4).as('s32'), v.as('s32'));
      k.reduceAnd(out.at(5), v.or(0xffff));
      k.reduceOr(out.at(6), v.and(0xff00ff));
      k.reduceXor(out.at(7), v);
      k.reduceAdd(out.at(8).as('u64'), k.widen(v));
      k.reduceMax(out.at(10).as('s64'), k.widen(v.as('s32')));
      k.reduceMin(out.at(12).as('u64'), k.mulWide(v, v));
    }),
    warpCase(family, 'shared integers', { ...words, shared }, (k) => {
      const { s } = k.shared;
      const v = k.params.x.at(k.threadIdx.x).load();
      k.if(k.threadIdx.x.lt(16), () => s.at(k.threadIdx.x).store(0x1234567));
      k.barrier();
      k.reduceAdd(s.at(0), v);
      k.reduceMin(s.at(1).as('s32'), v.as('s32'));
      k.reduceMax(s.at(2), v);
      k.reduceXor(s.at(3), v);
      k.reduceAdd(s.at(4).as('u64'), k.widen(v));
      k.reduceAdd(s.at(6).as('f32'), k.toF32(v.and(255)));
      k.barrier();
      k.if(k.threadIdx.x.lt(16), () =>
        k.params.out.at(k.threadIdx.x).store(s.at(k.threadIdx.x).load()),
      );
    }),
    warpCase(family, 'old values', { ...words, count: 128, initial: new Uint8Array(512) }, (k) => {
      // Each thread has a word of its own, so the old values are determined.
      const cell = k.params.out.at(k.threadIdx.x);
      const v = k.params.x.at(k.threadIdx.x).load();
      const zero = k.atomicExchange(cell, v);
      const same = k.atomicCas(cell, v, v.add(1));
      const not = k.atomicCas(cell, v, 5);
      const sum = k.atomicAdd(cell, zero.add(same).add(not));
      k.atomicXor(cell, sum);
    }),
    warpCase(
      family,
      'floats',
      {
        input: data('f32', [1, 2.5, 1e-39, -3, 0.125]),
        output: 'f32',
        count: 8,
        initial: new Uint8Array(32),
      },
      (k) => {
        const sums = (p: { at(i: number): typeof k.params.out }) => {
          k.if(k.laneId.eq(0), () => {
            for (let i = 0; i < 5; i++) k.reduceAdd(p.at(i & 1), k.params.x.at(i).load());
            k.reduceAdd(p.at(2), k.params.x.at(2).load());
          });
        };
        sums(k.params.out);
      },
    ),
    warpCase(
      family,
      'packed halves',
      {
        input: as('f16x2', data('f16', [1, 2, 3.5, -4, 60000, 0.001])),
        output: 'f16x2',
        count: 4,
        initial: new Uint8Array(16),
      },
      (k) => {
        k.if(k.laneId.eq(0), () => {
          for (let i = 0; i < 3; i++) {
            const v = k.params.x.at(i).load();
            k.reduceAdd(k.params.out, v);
            k.reduceAdd(k.params.out.at(1).as('bf16x2'), v.as('bf16x2'));
          }
        });
      },
    ),
  ] satisfies GoldenCase[];
}
