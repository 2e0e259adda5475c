import { defineKernel, type Kernel, type ParamDecls, tensorMap } from '@flash-mla/ptx';
import { consume } from '../../kernel-lib/cuda/sm90/products/consume.ts';
import { type Operand, produce } from '../../kernel-lib/cuda/sm90/products/produce.ts';
import { takeRoles, threadsOf } from '../../kernel-lib/cuda/sm90/products/roles.ts';
import {
  type ProductTile,
  productLayout,
  type TilePlace,
} from '../../kernel-lib/cuda/sm90/products/tile.ts';
import { type GemmConfig, gemmParams } from './config.ts';
import { finishTile } from './sm90/finish.ts';
import { walkOf } from './sm90/walk.ts';

/** What the code depends on. `wholeUnits`: rows of the result are stored in 16 bytes. */
export interface HopperGemmConfig
  extends Pick<GemmConfig, 'bias' | 'residual' | 'out' | 'wholeUnits'> {
  readonly tile: ProductTile;
}

const { x: _x, weight: _weight, weightScales: _scales, ...common } = gemmParams;

const params = {
  ...common,
  /** (depth, rows, batch) and (depth, columns, batch). */
  x: tensorMap('bf16'),
  weight: tensorMap('bf16'),
  /** Tiles of clusters. */
  rowTiles: 'u32',
  columnTiles: 'u32',
} as const satisfies ParamDecls;

export type HopperGemmParams = typeof params;

/**
 * Products on warp groups: one fetches, one or two multiply 64 rows each. Grid: (CTAs, batch). CTAs stay
 * and take tile after tile, so that the copies of the next run while results are written.
 */
export function buildHopperGemm(config: HopperGemmConfig): Kernel<HopperGemmParams> {
  const { tile } = config;
  const options = {
    ...{ name: 'sm90_gemm', params, shared: productLayout(tile), minBlocksPerSm: 1 },
    block: [threadsOf(tile)] as const,
    cluster: [tile.cluster],
  } as const;
  return defineKernel(options, (k, p) => {
    k.launchDependents();
    const { depth } = p;
    const walk = walkOf(k, tile, { rowTiles: p.rowTiles, columnTiles: p.columnTiles });
    takeRoles(k, k.shared, tile, {
      produce() {
        k.if(k.electSync(), () => {
          k.prefetchTensorMap(p.x);
          k.prefetchTensorMap(p.weight);
        });
        const early = { operand: 'b', isAllowed: p.fetchesEarly.ne(0) } as const;
        const a: Operand<TilePlace> = {
          map: p.x,
          rowsOf: ({ row, batch }) => [{ count: tile.rows, at: [row, batch] }],
        };
        const b: Operand<TilePlace> = {
          map: p.weight,
          rowsOf: ({ column, batch }) => [{ count: tile.columns, at: [column, batch] }],
        };
        produce(k, k.shared, tile, { walk, a, b, depth, early });
      },
      consume(group) {
        k.waitForDependencies();
        const batch = k.widen(k.blockIdx.y);
        const matrices = {
          residual: p.residual.bytes(batch.mul(p.residualBatchStride)),
          out: p.out.bytes(batch.mul(p.outBatchStride)),
        };
        consume(k, k.shared, tile, { walk, depth, group }, (sums, place) =>
          k.section('finish', () => finishTile(k, { config, p, matrices }, sums, place, group)),
        );
      },
    });
  });
}
