import { defineKernel, global, type Kernel, type ParamDecls, tensorMap } from '@flash-mla/ptx';
import { type Operand, produce } from '../../kernel-lib/cuda/sm90/products/produce.ts';
import { takeRoles, threadsOf } from '../../kernel-lib/cuda/sm90/products/roles.ts';
import type { ProductTile, TilePlace } from '../../kernel-lib/cuda/sm90/products/tile.ts';
import { type GemmConfig, gemmParams } from './config.ts';
import { consumeScaled, scaledLayout } from './sm90/consume-scaled.ts';
import { finishTile } from './sm90/finish.ts';
import { walkOf } from './sm90/walk.ts';

/** What the code depends on. `wholeUnits`: rows of the result are stored in 16 bytes. */
export interface HopperE4m3Config
  extends Pick<GemmConfig, 'bias' | 'residual' | 'out' | 'wholeUnits'> {
  readonly tile: ProductTile<'e4m3'>;
}

const { x: _x, weight: _weight, ...common } = gemmParams;

const params = {
  ...common,
  /** (depth, rows, 1) and (depth, columns, 1). */
  x: tensorMap('e4m3'),
  weight: tensorMap('e4m3'),
  /** f32 (depth / 128, paddedRows). */
  rowScales: global('f32'),
  paddedRows: 'u32',
  rowTiles: 'u32',
  columnTiles: 'u32',
} as const satisfies ParamDecls;

export type HopperE4m3Params = typeof params;

/** Products of e4m3 on warp groups, as of bf16 (`sm90_gemm`), with scales for each 128 of the depth. */
export function buildHopperE4m3Gemm(config: HopperE4m3Config): Kernel<HopperE4m3Params> {
  const { tile } = config;
  const options = {
    ...{ name: 'sm90_e4m3_gemm', params, shared: scaledLayout(tile), minBlocksPerSm: 1 },
    block: [threadsOf(tile)] as const,
    cluster: [tile.cluster],
  } as const;
  return defineKernel(options, (k, p) => {
    k.launchDependents();
    const { depth, weightScales, scalesStride, columns } = p;
    const { shared } = k;
    const walk = walkOf(k, tile, { rowTiles: p.rowTiles, columnTiles: p.columnTiles });
    takeRoles(k, shared, tile, {
      produce() {
        const a: Operand<TilePlace, 'e4m3'> = {
          map: p.x,
          rowsOf: ({ row, batch }) => [{ count: tile.rows, at: [row, batch] }],
        };
        const b: Operand<TilePlace, 'e4m3'> = {
          map: p.weight,
          rowsOf: ({ column, batch }) => [{ count: tile.columns, at: [column, batch] }],
        };
        const early = { operand: 'b', isAllowed: p.fetchesEarly.ne(0) } as const;
        const bytes = tile.rows * 4;
        produce(k, shared, tile, {
          ...{ walk, a, b, depth, early },
          more: {
            bytes,
            copy(stage, { row }, at) {
              const from = p.rowScales.at(k.mulWide(at.shr(7), p.paddedRows)).at(row);
              k.bulkLoad(shared.rowScales.at(stage, 0), from, bytes, shared.full.at(stage));
            },
          },
        });
      },
      consume(group) {
        k.waitForDependencies();
        const matrices = { residual: p.residual, out: p.out };
        const own = { walk, depth, group, weightScales, scalesStride, columns };
        consumeScaled(k, shared, tile, own, (sums, place) =>
          k.section('finish', () => finishTile(k, { config, p, matrices }, sums, place, group)),
        );
      },
    });
  });
}
