import { defineKernel, type Kernel } from '@flash-mla/ptx';
import {
  partRows,
  streamLayout,
  streamTiles,
  streamWarps,
  type TileStream,
  tileWeights,
} from '../../kernel-lib/cuda/rows/stream-tiles.ts';
import {
  elementOf,
  finish,
  type GemmConfig,
  type GemmParams,
  gemmParams,
  matricesOf,
  scaleShift,
} from './config.ts';

/** What the code depends on beside what that of every product does; `rowTile` is a multiple of 8. */
export interface FewRowsConfig extends GemmConfig {
  readonly stages: number;
  /** The depth, where rows of x stay in shared memory; else 0. */
  readonly keptDepth: number;
}

/**
 * For few rows on tensor cores: weights stream through shared memory once, in tiles of 16 of their rows, and
 * rows of x are what they are multiplied with. Grid: (CTAs that share the tiles, tiles of rows, batch).
 */
export function buildFewRowsGemm(config: FewRowsConfig): Kernel<GemmParams> {
  const { rowTile, stages, keptDepth, weight } = config;
  const isScaled = weight.dtype === 'e4m3';
  const stream: TileStream = {
    ...{ stages, rows: rowTile, keptDepth },
    weight: isScaled ? 'e4m3' : 'bf16',
  };
  const options = {
    ...{ name: 'sm80_few_rows_gemm', params: gemmParams, block: [streamWarps * 32] as const },
    shared: streamLayout(stream),
    maxRegisters: 128,
  } as const;
  return defineKernel(options, (k, p) => {
    const matrices = matricesOf(k, p);
    const firstRow = k.blockIdx.y.mul(rowTile).named('first_row');
    const lane = k.laneId.shr(2);
    const zero = k.constant('u32', 0);
    const xs = Array.from({ length: rowTile / partRows }, (_, part) => {
      const at = firstRow.add(lane).add(part * partRows);
      const row = elementOf(k, matrices.x, 'bf16', p.xStride, at.min(p.rows.sub(1)), zero);
      return { row: row.as('b32'), isThere: at.lt(p.rows) };
    });
    const overlaps = k.target.sm >= 90;
    if (overlaps) {
      k.launchDependents();
      k.if(p.fetchesEarly.eq(0), () => k.waitForDependencies(), { uniform: true });
    }
    streamTiles(k, stream, k.shared, {
      depth: p.depth,
      first: k.blockIdx.x,
      step: k.gridDim.x,
      end: p.columns.add(tileWeights - 1).div(tileWeights),
      weights(tile) {
        const column = tile.mul(tileWeights).add(lane);
        const rowOf = (i: number) => {
          const there = column.add(i * 8).min(p.columns.sub(1));
          return elementOf(k, matrices.weight, weight.dtype, p.weightStride, there, zero).as('b32');
        };
        const block = k.mulWide(tile.mul(tileWeights).shr(scaleShift), p.scalesStride);
        const scales = p.weightScales.at(block);
        return { rows: [rowOf(0), rowOf(1)], ...(isScaled && { scales: [scales, scales] }) };
      },
      rows: () => xs,
      beforeRows: () => overlaps && k.waitForDependencies(),
      finish(tile, sum) {
        const threads = streamWarps * 32;
        for (let begin = 0; begin < rowTile * tileWeights; begin += threads) {
          const index = k.threadIdx.x.add(begin);
          const own = () => {
            const [row, weightRow] = [index.div(tileWeights), index.rem(tileWeights)];
            const [at, column] = [firstRow.add(row), k.mad(tile, tileWeights, weightRow)];
            k.if(at.lt(p.rows).and(column.lt(p.columns)), () =>
              finish(k, config, p, matrices, sum(row, weightRow), at, column),
            );
          };
          if (begin + threads <= rowTile * tileWeights) own();
          else k.if(index.lt(rowTile * tileWeights), own);
        }
      },
    });
  });
}

/** How many CTAs share the tiles of 16 columns, where so many are at work at a time. */
export function fewRowsGrid(
  rowTile: number,
  atOnce: number,
  { rows, columns, batch }: { rows: number; columns: number; batch: number },
): readonly [number, number, number] {
  const tiles = Math.ceil(columns / tileWeights);
  const rowTiles = Math.ceil(rows / rowTile);
  const share = Math.max(1, Math.floor(atOnce / (rowTiles * batch)));
  // All CTAs get as many tiles, or one less.
  return [Math.ceil(tiles / Math.ceil(tiles / share)), rowTiles, batch];
}
