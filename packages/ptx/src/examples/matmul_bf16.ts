import { defineKernel, field, global, sharedLayout } from '../index.ts';

/** Rows, columns and depth of the tile of one CTA. */
const tile = { m: 64, n: 64, k: 64 } as const;

const layout = sharedLayout({
  // Two stages: while one is multiplied, the next is on its way.
  a: field('bf16', [2, tile.m, tile.k], { swizzle: '128B' }),
  b: field('bf16', [2, tile.n, tile.k], { swizzle: '128B' }),
});

/**
 * C (m×n, f32) = A (m×k, bf16) × B (n×k, bf16) transposed, with the pattern of every sm_80 kernel:
 * `cp.async` into swizzled shared memory, `ldmatrix`, `mma.sync`, two stages. m and n are multiples
 * of 64, `depth` of 64. Launch (n / 64, m / 64) CTAs; each of the four warps computes 16 rows.
 */
export const matmulBf16 = defineKernel(
  {
    name: 'matmul_bf16',
    params: { a: global('bf16'), b: global('bf16'), c: global('f32'), n: 'u32', depth: 'u32' },
    shared: layout,
    block: [128],
  },
  (k, { a, b, c, n, depth }) => {
    const lane = k.laneId;
    const warp = k.warpId.named('warp');
    const rowOfCta = k.blockIdx.y.mul(tile.m);
    const columnOfCta = k.blockIdx.x.mul(tile.n);

    /** Copies a 64×64 tile: a thread takes a 16-byte chunk of every 16th row. */
    const chunk = k.threadIdx.x.and(7).named('chunk');
    const firstRow = k.threadIdx.x.shr(3).named('first_row');
    const sourceA = a.at(k.mad(rowOfCta.add(firstRow), depth, chunk.mul(8)));
    const sourceB = b.at(k.mad(columnOfCta.add(firstRow), depth, chunk.mul(8)));
    const fetch = (stage: ReturnType<typeof k.constant<'u32'>>, column: typeof stage) =>
      k.section('fetch', () => {
        for (let r = 0; r < tile.m; r += 16) {
          const row = firstRow.add(r);
          const skip = k.mad(depth, r, column);
          k.cpAsync(k.shared.a.row(stage, row).at(chunk.mul(8)), sourceA.at(skip), 16);
          k.cpAsync(k.shared.b.row(stage, row).at(chunk.mul(8)), sourceB.at(skip), 16);
        }
        k.cpAsyncCommit();
      });

    const acc = Array.from({ length: tile.n / 8 }, () => k.vars('f32', 4, 0));
    const zero = k.constant('u32', 0);
    fetch(zero, zero);

    k.for({ to: depth, step: tile.k, name: 'k_tile', uniform: true }, (column) => {
      const stage = column.shr(6).and(1).named('stage');
      const next = column.add(tile.k);
      k.if(
        next.lt(depth),
        () => {
          fetch(stage.xor(1), next);
          k.cpAsyncWait(1);
        },
        () => k.cpAsyncWait(0),
        { uniform: true },
      );
      k.barrier();

      k.section('multiply', () => {
        // ldmatrix: lanes 0–15 point at the rows of the left half of A's 16×16 block, 16–31 at the
        // right; of B, lanes 0–7 and 8–15 at both depth halves of 8 columns, 16–31 at the next 8.
        const rowA = k.shared.a.row(stage, k.mad(warp, 16, lane.and(15)));
        const halfA = lane.shr(4).shl(3);
        const halfB = lane.shr(3).and(1).shl(3);
        for (let kk = 0; kk < tile.k; kk += 16) {
          const fragmentA = k.ldmatrix(rowA.at(halfA.add(kk)), 4);
          for (let j = 0; j < tile.n; j += 16) {
            const row = k.mad(lane.shr(4), 8, lane.and(7)).add(j);
            const [b0, b1, b2, b3] = k.ldmatrix(k.shared.b.row(stage, row).at(halfB.add(kk)), 4);
            k.mma('bf16', acc[j / 8], fragmentA, [b0, b1]);
            k.mma('bf16', acc[j / 8 + 1], fragmentA, [b2, b3]);
          }
        }
      });
      // The next round's copies overwrite the stage that was just read.
      k.barrier();
    });

    k.section('write C', () => {
      const row = rowOfCta.add(k.mad(warp, 16, lane.shr(2)));
      const out = c.at(k.mad(row, n, columnOfCta.add(lane.and(3).shl(1))));
      const below = out.at(n.shl(3));
      acc.forEach(([c0, c1, c2, c3], j) => {
        out.at(j * 8).storeVec([c0, c1]);
        below.at(j * 8).storeVec([c2, c3]);
      });
    });
  },
);
