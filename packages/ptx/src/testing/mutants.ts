import { defineKernel, field, global, segmentSum, sharedLayout, struct, union } from '../index.ts';

/** The mistakes that can be built into {@link splitKernel}, each one a slip of the hand. */
export const mistakes = [
  'no barrier after the copies arrive',
  'no barrier before a stage is refilled',
  'no wait for the copies',
  'wait leaves one group pending at the end',
  'copies never committed',
  'stage not alternated',
  'row stride of the source too small',
  'ldmatrix without the swizzle',
  'ldmatrix one row too far',
  'ldmatrix halves swapped',
  'ldmatrix transposed',
  'A fragments in the wrong order',
  'B fragments in the wrong order',
  'accumulator not initialised',
  'one round too few',
  'one round too many',
  'rows beyond the end not predicated',
  'zero fill of missing rows forgotten',
  'shuffle inside a divergent branch',
  'shuffle over half of the lanes',
  'barrier inside a divergent branch',
  'barrier skipped by one warp',
  'named barrier with too many threads',
  'staging overlaps tiles still in use',
  'staging read without a barrier',
  'no fence before the signal',
  'no fence after the signal',
  'partial results read through the read-only path',
  'column predicate forgotten in the store',
  'columns of the store shifted',
  'signal sent by every thread',
] as const;

/** One of {@link mistakes}. */
export type Mistake = (typeof mistakes)[number];

const tile = { m: 32, n: 48, k: 64 } as const;
/** Rows of A, and the tile's columns of which a launch uses `n`. */
export const splitShape = { m: tile.m, maxN: tile.n, depthStep: tile.k, threads: 64 } as const;

const layout = sharedLayout({
  memory: union({
    tiles: struct({
      a: field('bf16', [2, tile.m, tile.k], { swizzle: '128B' }),
      b: field('bf16', [2, tile.n, tile.k], { swizzle: '128B' }),
    }),
    staging: field('f32', [tile.m, tile.n], { padding: 16 }),
  }),
});

/**
 * A kernel with everything that attention kernels have: a pipeline of asynchronous copies, swizzled
 * tiles, tensor cores, reductions over lanes, staging through shared memory, and a merge by the last
 * of the CTAs. CTA s computes P = A·Bᵀ over its part of the depth, divides each row by 1 + Σ|P|, and
 * the last one adds the parts up: out = Σ_s P_s / (1 + Σ|P_s|).
 */
export function splitKernel(mistake?: Mistake) {
  const is = (m: Mistake): boolean => m === mistake;
  return defineKernel(
    {
      name: 'test_kernel',
      params: {
        a: global('bf16'),
        b: global('bf16'),
        partial: global('f32'),
        arrived: global('u32'),
        out: global('f32'),
        n: 'u32',
        /** Depth of one CTA's part; rows of A and B hold all parts. */
        depth: 'u32',
      },
      shared: layout,
      block: [splitShape.threads],
    },
    (k, { a, b, partial, arrived, out, n, depth }) => {
      const { tiles, staging } = k.shared.memory;
      const lane = k.laneId;
      const warp = k.warpId;
      const split = k.blockIdx.x;
      const pitch = is('row stride of the source too small')
        ? k.mad(depth, k.gridDim.x, -8)
        : depth.mul(k.gridDim.x);
      const firstColumn = depth.mul(split);
      const chunk = k.threadIdx.x.and(7);
      const firstRow = k.threadIdx.x.shr(3);

      const fetch = (stage: typeof lane, column: typeof lane) => {
        const source = firstColumn.add(column).add(chunk.mul(8));
        for (let r = 0; r < tile.m; r += 8) {
          const row = firstRow.add(r);
          k.cpAsync(tiles.a.at(stage, row, chunk.mul(8)), a.at(k.mad(row, pitch, source)), 16);
        }
        for (let r = 0; r < tile.n; r += 8) {
          const row = firstRow.add(r);
          const from = b.at(k.mad(row, pitch, source));
          const to = tiles.b.at(stage, row, chunk.mul(8));
          if (is('rows beyond the end not predicated')) k.cpAsync(to, from, 16);
          else if (is('zero fill of missing rows forgotten')) {
            k.if(row.lt(n), () => k.cpAsync(to, from, 16));
          } else k.cpAsync(to, from, 16, { sourceBytes: k.select(row.lt(n), 16, 0, 'u32') });
        }
        if (!is('copies never committed')) k.cpAsyncCommit();
      };

      const acc = Array.from({ length: tile.n / 8 }, () =>
        is('accumulator not initialised')
          ? [0, 1, 2, 3].map(() => k.var('f32'))
          : k.vars('f32', 4, 0),
      );
      fetch(k.constant('u32', 0), k.constant('u32', 0));

      const to = is('one round too few')
        ? depth.sub(tile.k)
        : is('one round too many')
          ? depth.add(tile.k)
          : depth;
      k.for({ to, step: tile.k, uniform: true }, (column) => {
        const stage = is('stage not alternated') ? column.and(0) : column.shr(6).and(1);
        const next = column.add(tile.k);
        k.if(
          next.lt(to),
          () => {
            fetch(is('stage not alternated') ? stage : stage.xor(1), next);
            if (!is('no wait for the copies')) k.cpAsyncWait(1);
          },
          () => {
            const pending = is('wait leaves one group pending at the end') ? 1 : 0;
            if (!is('no wait for the copies')) k.cpAsyncWait(pending);
          },
          { uniform: true },
        );
        if (is('barrier inside a divergent branch')) k.if(lane.lt(31), () => k.barrier());
        else if (is('barrier skipped by one warp')) {
          k.if(warp.eq(0), () => k.barrier(), { uniform: true });
        } else if (is('named barrier with too many threads')) k.barrier(1, 96);
        else if (!is('no barrier after the copies arrive')) k.barrier();

        const rowA = k.mad(warp, 16, lane.and(15)).add(is('ldmatrix one row too far') ? 1 : 0);
        for (let kk = 0; kk < tile.k; kk += 16) {
          const swapped = is('ldmatrix halves swapped');
          const columnA = (swapped ? lane.shr(4).xor(1) : lane.shr(4)).shl(3).add(kk);
          const pointer = is('ldmatrix without the swizzle')
            ? tiles.a.pointer.at(k.mad(stage, tile.m, rowA).mul(tile.k)).at(columnA)
            : tiles.a.at(stage, rowA, columnA);
          let fa = k.ldmatrix(pointer, 4, { trans: is('ldmatrix transposed') });
          if (is('A fragments in the wrong order')) fa = [fa[0], fa[2], fa[1], fa[3]];
          for (let j = 0; j < tile.n; j += 16) {
            const rowB = k.mad(lane.shr(4), 8, lane.and(7)).add(j);
            const columnB = lane.shr(3).and(1).shl(3).add(kk);
            const [b0, b1, b2, b3] = k.ldmatrix(tiles.b.at(stage, rowB, columnB), 4);
            k.mma(
              'bf16',
              acc[j / 8],
              fa,
              is('B fragments in the wrong order') ? [b1, b0] : [b0, b1],
            );
            k.mma('bf16', acc[j / 8 + 1], fa, [b2, b3]);
          }
        }
        if (!is('no barrier before a stage is refilled')) k.barrier();
      });

      if (is('staging overlaps tiles still in use')) {
        // The pipeline's last barrier is what makes the reuse legal: without it, this fetch races.
        fetch(k.constant('u32', 0), k.constant('u32', 0));
      }
      const scaled = [0, 1].map((half) => {
        const own = acc.flatMap((c) => [c[half * 2].abs(), c[half * 2 + 1].abs()]);
        const sum = own.reduce((x, y) => x.add(y));
        if (is('shuffle inside a divergent branch')) {
          const total = k.var('f32', sum);
          k.if(lane.lt(30), () => total.set(segmentSum(k, sum, 4)));
          return k.rcpRn(total.add(1));
        }
        const width = is('shuffle over half of the lanes') ? 2 : 4;
        return k.rcpRn(segmentSum(k, sum, width).add(1));
      });
      const row = k.mad(warp, 16, lane.shr(2));
      acc.forEach((c, j) => {
        const column = lane
          .and(3)
          .shl(1)
          .add(j * 8);
        staging.at(row, column).storeVec([c[0].mul(scaled[0]), c[1].mul(scaled[0])]);
        staging.at(row.add(8), column).storeVec([c[2].mul(scaled[1]), c[3].mul(scaled[1])]);
      });
      if (!is('staging read without a barrier')) k.barrier();

      const me = k.threadIdx.x;
      const mine = partial.at(split.mul(n).mul(tile.m));
      const shift = is('columns of the store shifted') ? 1 : 0;
      k.for({ to: tile.m }, (r) => {
        // The staging's rows are read by other threads than wrote them.
        const write = () => mine.at(k.mad(r, n, me)).store(staging.at(r, me.add(shift)).load());
        const bound = is('column predicate forgotten in the store') ? k.constant('u32', 48) : n;
        k.if(me.lt(bound), write);
      });
      k.barrier();
      const last = k.var('pred', false);
      const signal = () => {
        if (!is('no fence before the signal')) k.fence('gpu');
        last.set(k.atomicAdd(arrived, 1).eq(k.gridDim.x.sub(1)));
        if (!is('no fence after the signal')) k.fence('gpu');
      };
      if (is('signal sent by every thread')) signal();
      else k.if(me.eq(0), signal);
      const flag = k.select(k.any(last), 1, 0, 'u32');
      k.if(me.lt(32).and(flag.eq(1)), () => {
        k.for({ from: me, to: n, step: 32 }, (column) => {
          k.for({ to: tile.m }, (r) => {
            const sum = k.var('f32', 0);
            k.for({ to: k.gridDim.x }, (s) => {
              const part = partial.at(k.mad(k.mad(s, tile.m, r), n, column));
              sum.addTo(part.load({ nc: is('partial results read through the read-only path') }));
            });
            out.at(k.mad(r, n, column)).store(sum);
          });
        });
      });
    },
  );
}
