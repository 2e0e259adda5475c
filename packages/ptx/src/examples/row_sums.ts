import { defineKernel, field, global, segmentSum } from '../index.ts';

/**
 * Sums of the rows of a matrix by a persistent kernel: any number of CTAs, each of which takes the
 * next row from a counter until none is left. `next` starts at 0.
 */
export const rowSums = defineKernel(
  {
    name: 'row_sums',
    params: {
      x: global('f32'),
      sums: global('f32'),
      next: global('u32'),
      rows: 'u32',
      columns: 'u32',
    },
    shared: { row: field('u32', [1]), partial: field('f32', [4]) },
    block: [128],
  },
  (k, { x, sums, next, rows, columns }) => {
    const { row: shared, partial } = k.shared;
    const leader = k.threadIdx.x.eq(0);
    k.loop(
      (loop) => {
        k.if(leader, () => shared.at(0).store(k.atomicAdd(next, 1)));
        k.barrier();
        const row = shared.at(0).load().named('row');
        loop.breakIf(row.ge(rows));
        const sum = k.var('f32', 0);
        k.for({ from: k.threadIdx.x, to: columns, step: 128 }, (column) => {
          sum.addTo(x.at(k.mad(row, columns, column)).load());
        });
        const total = segmentSum(k, sum);
        k.if(k.laneId.eq(0), () => partial.at(k.warpId).store(total));
        k.barrier();
        k.if(leader, () => {
          const parts = [0, 1, 2, 3].map((w) => partial.at(w).load());
          sums.at(row).store(parts.reduce((a, b) => a.add(b)));
        });
      },
      { uniform: true, name: 'next_row' },
    );
  },
);
