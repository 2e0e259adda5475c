import { defineKernel, type Kernel, segmentSum, type Value, type Var } from '@flash-mla/ptx';
import { columnsPerThread, loadColumns } from '../../kernel-lib/cuda/rows/columns.ts';
import {
  elementOf,
  finish,
  type GemmConfig,
  type GemmParams,
  gemmParams,
  matricesOf,
  scaleShift,
} from './config.ts';
import { loadWeights, presenceIn } from './units.ts';

const warps = 4;

/** Columns of a warp. More than one where the rows of x cost as much to load as the weights. */
const columnsOf = (rowTile: number) => (rowTile === 1 ? 1 : 2);
/** Loads of a row of weights that a lane has under way. */
const unrollOf = (rowTile: number) => Math.max(1, 4 / rowTile);

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
  const [columnsOfWarp, unroll] = [columnsOf(rowTile), unrollOf(rowTile)];
  const isScaled = weight.dtype === 'e4m3';
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
    const sums = columns.map(() => k.vars('f32', rowTile, 0));

    const step = 32 * columnsPerThread;
    const range = {
      ...{ from: k.laneId.mul(columnsPerThread), to: p.depth.add(step - 1), step: step * unroll },
      ...{ unroll: false, name: 'k' },
    };
    k.for(range, (begin) => {
      const places = Array.from({ length: unroll }, (_, u) => begin.add(u * step));
      const loaded = places.map((place) => {
        const presence = presenceIn(place, p.depth, wholeUnits);
        const values = weights.map((from) => {
          const bytes = weight.dtype === 'f32' ? 4 : weight.dtype === 'bf16' ? 2 : 1;
          return loadWeights(k, from.bytes(k.widen(place).mul(bytes)), weight, presence);
        });
        return { place, presence, values };
      });
      for (const { place, presence, values } of loaded) {
        const factors = isScaled
          ? scales.map((from) =>
              from.at(place.min(p.depth.sub(1)).shr(scaleShift)).load({ nc: true }),
            )
          : undefined;
        xs.forEach((from, r) => {
          const at = from.bytes(k.widen(place).mul(x.dtype === 'f32' ? 4 : 2));
          const row = loadColumns(k, at, x, presence);
          values.forEach((ofColumn, c) => {
            const sum = sums[c]?.[r] as Var<'f32'>;
            const product = dot(row, ofColumn, factors ? undefined : sum);
            if (factors) sum.set(k.fma(product, factors[c] as Value<'f32'>, sum));
            else sum.set(product);
          });
        });
      }
    });

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

    function dot(
      a: readonly Value<'f32'>[],
      b: readonly Value<'f32'>[],
      start: Value<'f32'> | undefined,
    ): Value<'f32'> {
      return a.reduce<Value<'f32'>>(
        (sum, value, i) => k.fma(value, b[i] as Value<'f32'>, sum),
        start ?? k.constant('f32', 0),
      );
    }
  });
}
