import { defineKernel, field, type Kernel, type Value, type Var } from '@flash-mla/ptx';
import {
  columnsPerThread,
  loadColumns,
  loadOne,
  type RowDType,
  type RowLayout,
} from '../../kernel-lib/cuda/rows/columns.ts';
import { presenceIn } from '../../kernel-lib/cuda/rows/weights.ts';
import {
  bytesOfRow,
  elementOf,
  finish,
  type GemmConfig,
  type GemmParams,
  gemmParams,
  matricesOf,
} from './config.ts';

const warps = 8;
const columnTile = 32 * columnsPerThread;

export function transposedGrid(rowTile: number, rows: number, columns: number, batch: number) {
  return [Math.ceil(columns / columnTile), Math.ceil(rows / rowTile), batch] as const;
}

/**
 * For weights whose rows are what is summed over: a lane takes eight columns, a warp every eighth row of
 * weights. The warps' sums meet in shared memory and are added in a fixed order.
 */
export function buildTransposedGemm(config: GemmConfig): Kernel<GemmParams> {
  const { x, rowTile, wholeUnits } = config;
  const weight = config.weight as RowLayout<RowDType>;
  const options = {
    ...{ name: 'sm80_transposed_gemm', params: gemmParams, block: [warps * 32] as const },
    shared: { partial: field('f32', [warps, rowTile, columnTile]) },
  } as const;
  return defineKernel(options, (k, p) => {
    const matrices = matricesOf(k, p);
    const firstColumn = k.blockIdx.x.mul(columnTile).named('first_column');
    const ofLane = k.laneId.mul(columnsPerThread);
    const column = firstColumn.add(ofLane).named('column');
    const presence = presenceIn(column, p.columns, wholeUnits);
    const firstRow = k.blockIdx.y.mul(rowTile).named('first_row');
    const zero = k.constant('u32', 0);
    const xs = Array.from({ length: rowTile }, (_, r) => {
      const row = firstRow.add(r).min(p.rows.sub(1));
      return elementOf(k, matrices.x, x.dtype, p.xStride, row, zero);
    });
    const sums = xs.map(() => k.vars('f32', columnsPerThread, 0));
    k.for({ from: k.warpId, to: p.depth, step: warps, unroll: false, uniform: true }, (depth) => {
      const from = elementOf(k, matrices.weight, weight.dtype, p.weightStride, depth, column);
      const weights = loadColumns(k, from, weight, presence);
      xs.forEach((row, r) => {
        const value = loadOne(row.bytes(k.widen(depth).mul(bytesOfRow(x.dtype))), x.dtype);
        weights.forEach((each, c) => {
          const sum = sums[r]?.[c] as Var<'f32'>;
          sum.set(k.fma(each, value, sum));
        });
      });
    });

    k.section('finish', () => {
      sums.forEach((ofRow, r) => {
        const to = k.shared.partial.at(k.warpId, r, ofLane);
        for (const c of [0, 4]) to.at(c).storeVec(ofRow.slice(c, c + 4) as Value<'f32'>[]);
      });
      k.barrier();
      const mine = firstColumn.add(k.threadIdx.x);
      xs.forEach((_, r) => {
        const parts = Array.from({ length: warps }, (__, w) =>
          k.shared.partial.at(w, r, k.threadIdx.x).load(),
        );
        const row = firstRow.add(r);
        k.if(mine.lt(p.columns).and(row.lt(p.rows)), () =>
          finish(
            k,
            config,
            p,
            matrices,
            parts.reduce((a, b) => a.add(b)),
            row,
            mine,
          ),
        );
      });
    });
  });
}
