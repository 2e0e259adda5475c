import { defineKernel, type Kernel, segmentSum, type Value } from '@flash-mla/ptx';
import { streamDots } from '../../kernel-lib/cuda/rows/stream-dots.ts';
import {
  elementOf,
  finish,
  type GemmConfig,
  type GemmParams,
  gemmParams,
  matricesOf,
  scaleShift,
} from './config.ts';

const warps = 4;

/** Columns of a warp. More than one where the rows of x cost as much to load as the weights. */
const columnsOf = (rowTile: number) => (rowTile === 1 ? 1 : 2);

export function streamGrid(rowTile: number, rows: number, columns: number, batch: number) {
  const columnTile = warps * columnsOf(rowTile);
  return [Math.ceil(columns / columnTile), Math.ceil(rows / rowTile), batch] as const;
}

/**
 * For few rows: a warp takes one or two rows of weights, which stream through its registers once, and
 * multiplies them with `rowTile` rows of x. Its lanes take eight neighbours of every 256 and add up at
 * the end, in a fixed order.
 */
export function buildStreamGemm(config: GemmConfig): Kernel<GemmParams> {
  const { x, weight, rowTile, wholeUnits } = config;
  const columnsOfWarp = columnsOf(rowTile);
  const options = { name: 'sm80_stream_gemm', params: gemmParams, block: [warps * 32] } as const;
  return defineKernel(options, (k, p) => {
    const first = k.mad(k.blockIdx.x, warps, k.warpId).mul(columnsOfWarp).named('first_column');
    k.if(first.ge(p.columns), () => k.exit(), { uniform: true });
    const matrices = matricesOf(k, p);
    const firstRow = k.blockIdx.y.mul(rowTile).named('first_row');
    const zero = k.constant('u32', 0);
    // What is beyond the end counts as the last: it is computed and not stored.
    const columns = Array.from({ length: columnsOfWarp }, (_, i) =>
      first.add(i).min(p.columns.sub(1)),
    );
    const rows = Array.from({ length: rowTile }, (_, i) => firstRow.add(i).min(p.rows.sub(1)));
    const weights = columns.map((column) =>
      elementOf(k, matrices.weight, weight.dtype, p.weightStride, column, zero),
    );
    const xs = rows.map((row) => elementOf(k, matrices.x, x.dtype, p.xStride, row, zero));
    const scales = columns.map((column) =>
      p.weightScales.at(k.mulWide(column.shr(scaleShift), p.scalesStride)),
    );
    const sums = streamDots(
      k,
      { x, weight, wholeUnits, unroll: Math.max(1, 4 / rowTile) },
      { depth: p.depth, weights, xs, ...(weight.dtype === 'e4m3' && { scales }) },
    );

    k.section('finish', () => {
      columns.forEach((_, c) => {
        rows.forEach((__, r) => {
          const sum = segmentSum(k, sums[c]?.[r] as Value<'f32'>);
          const [row, column] = [firstRow.add(r), first.add(c)];
          const isThere = row.lt(p.rows).and(column.lt(p.columns));
          k.if(isThere.and(k.laneId.eq(r % 32)), () =>
            finish(k, config, p, matrices, sum, row, column),
          );
        });
      });
    });
  });
}
