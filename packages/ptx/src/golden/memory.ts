import { field } from '../layout/shared.ts';
import { type GoldenCase, warpCase } from './case.ts';
import { as, data, random } from './data.ts';

const family = 'memory';

/** Loads and stores of every width, cache hints, asynchronous copies, swizzled layouts. */
export function memoryCases(): GoldenCase[] {
  const x = random('b32', 512, 61);
  const word = { input: x, output: 'b32', count: 128 } as const;
  return [
    warpCase(family, 'ld.u8', { ...word, input: as('u8', x) }, (k) => {
      const v = k.params.x.at(k.laneId.mul(3)).load();
      k.params.out.at(k.laneId).store(v.as('b32'));
    }),
    warpCase(family, 'ld.s8', { ...word, input: as('s8', x) }, (k) => {
      const v = k.params.x.at(k.laneId.mul(5)).load();
      k.params.out.at(k.laneId).store(v.as('b32'));
    }),
    warpCase(family, 'ld.s16', { ...word, input: as('s16', x) }, (k) => {
      k.params.out.at(k.laneId).store(k.params.x.at(k.laneId.mul(7)).load().as('b32'));
    }),
    warpCase(family, 'ld.v4 st.v2', word, (k) => {
      const [a, b, c, d] = k.params.x.at(k.laneId.shl(2)).loadVec(4, { nc: true, l1: 'none' });
      const out = k.params.out.at(k.laneId.shl(2));
      out.storeVec([d, a]);
      out.at(2).storeVec([b, c], { l1: 'first' });
    }),
    warpCase(
      family,
      'ld.v2.b64',
      { ...word, input: as('b64', x), output: 'b64', count: 64 },
      (k) => {
        const [a, b] = k.params.x.at(k.laneId.shl(1)).loadVec(2, { l2Prefetch: 128 });
        k.params.out.at(k.laneId.shl(1)).storeVec([b, a]);
      },
    ),
    warpCase(family, 'st.u8 st.b16', { ...word, output: 'u8', count: 128 }, (k) => {
      const v = k.params.x.at(k.laneId).load();
      k.params.out.at(k.laneId).store(v.as('u32'));
      const [lo] = k.split(v);
      k.params.out.as('b16').at(k.laneId.add(32)).store(lo);
    }),
    warpCase(
      family,
      'shared bytes',
      { ...word, shared: { s: field('u8', [256]), h: field('b16', [64], { align: 256 }) } },
      (k) => {
        const v = k.params.x.at(k.laneId).load();
        k.shared.s.at(k.laneId.mul(5).and(255)).store(v.as('u32'));
        k.shared.h.at(k.laneId.xor(9)).store(k.split(v)[1]);
        k.syncWarp();
        const back = k.shared.s.at(k.laneId.xor(1).mul(5).and(255)).load();
        const half = k.shared.h.at(k.laneId).load();
        k.params.out.at(k.laneId).store(k.join(half, half).xor(back.as('b32')));
      },
    ),
    warpCase(family, 'cache policies', { ...word, shared: { s: field('b32', [32]) } }, (k) => {
      const last = k.cachePolicy('evict_last');
      const first = k.cachePolicy('evict_first', 0.5);
      const v = k.params.x.at(k.laneId).load({ nc: true, l1: 'none', l2Policy: last });
      k.params.out.at(k.laneId).store(v, { l2Policy: first });
      k.cpAsync(k.shared.s.at(k.laneId), k.params.x.at(k.laneId.xor(1)), 4, { l2Policy: first });
      k.cpAsyncWaitAll();
      k.params.out.at(k.laneId).at(32).store(k.shared.s.at(k.laneId).load());
    }),
    warpCase(family, 'const array', word, (k) => {
      const table = k.constArray(
        'b32',
        Int32Array.from({ length: 32 }, (_, i) => i * i * 77),
      );
      k.params.out.at(k.laneId).store(table.at(k.laneId.xor(5)).load());
      k.params.out.at(k.laneId).at(32).store(table.as('u16').at(k.laneId).load().as('b32'));
    }),
    warpCase(
      family,
      'swizzled rows and tiles',
      {
        ...word,
        input: as('bf16', random('bf16', 8 * 128, 62)),
        output: 'bf16',
        count: 3 * 8 * 128,
        shared: {
          rows: field('bf16', [8, 128], { swizzle: '128B' }),
          tiles: field('bf16', [8, 128], { swizzle: '128B', arrangement: 'tiles' }),
          half: field('bf16', [8, 128], { swizzle: '64B' }),
        },
      },
      (k) => {
        const { rows, tiles, half } = k.shared;
        [rows, tiles, half].forEach((array, which) => {
          k.for({ to: 8 }, (row) => {
            for (let c = 0; c < 128; c += 32) {
              array
                .at(row, k.laneId.add(c))
                .store(k.params.x.at(k.mad(row, 128, k.laneId.add(c))).load());
            }
          });
          k.syncWarp();
          // The bytes as they lie, not as the layout reads them.
          for (let c = 0; c < 8 * 128; c += 32) {
            const v = array.pointer.at(k.laneId.add(c)).load();
            k.params.out.at(k.laneId.add(c + which * 1024)).store(v);
          }
        });
      },
    ),
    warpCase(
      family,
      'cp.async',
      {
        ...word,
        count: 32 * 7,
        shared: { a: field('b32', [32, 4]), b: field('b32', [32, 2]), c: field('b32', [32]) },
      },
      (k) => {
        const { a, b, c } = k.shared;
        const source = k.params.x.at(k.laneId.shl(2));
        k.cpAsync(a.at(k.laneId, 0), source, 16, {
          sourceBytes: k.laneId.and(15),
          l2Prefetch: 128,
        });
        k.cpAsyncCommit();
        k.cpAsync(b.at(k.laneId, 0), source, 8, { sourceBytes: k.laneId.and(7) });
        k.cpAsync(c.at(k.laneId), source.at(3), 4);
        k.cpAsyncCommit();
        k.cpAsyncWait(1);
        k.syncWarp();
        const other = k.laneId.xor(3);
        const out = k.params.out.at(k.laneId.mul(7));
        a.at(other, 0)
          .loadVec(4)
          .forEach((v, i) => {
            out.at(i).store(v);
          });
        k.cpAsyncWait(0);
        k.syncWarp();
        b.at(other, 0)
          .loadVec(2)
          .forEach((v, i) => {
            out.at(4 + i).store(v);
          });
        out.at(6).store(c.at(other).load());
      },
    ),
    warpCase(
      family,
      'loadIf and variables',
      { ...word, input: data('f32', [1, -2, 3, -4, 5, -6, 7, -8]), output: 'f32' },
      (k) => {
        const inside = k.laneId.lt(8);
        const v = k.params.x.at(k.laneId).loadIf(inside, -1);
        const sum = k.var('f32', 0);
        k.for({ to: k.laneId, uniform: false }, (i, loop) => {
          loop.continueIf(i.and(1).eq(1));
          sum.addTo(v);
          loop.breakIf(sum.gt(20));
        });
        k.params.out.at(k.laneId).store(sum);
      },
    ),
  ];
}
