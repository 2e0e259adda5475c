import { defineKernel, type Kernel, type ParamDecls, tensorMap } from '@flash-mla/ptx';
import { consume } from '../../kernel-lib/cuda/sm90/products/consume.ts';
import { type Operand, produce } from '../../kernel-lib/cuda/sm90/products/produce.ts';
import { initRing } from '../../kernel-lib/cuda/sm90/products/ring.ts';
import {
  consumersOf,
  groupThreads,
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
  fetchesEarly: 'u32',
} as const satisfies ParamDecls;

export type HopperGemmParams = typeof params;

const registers = { producer: 40, consumer: 232 } as const;

/**
 * Products on warp groups: one fetches, one or two multiply 64 rows each. Grid: (CTAs, batch). CTAs stay
 * and take tile after tile, so that the copies of the next run while results are written.
 */
export function buildHopperGemm(config: HopperGemmConfig): Kernel<HopperGemmParams> {
  const { tile } = config;
  const consumers = consumersOf(tile);
  const options = {
    ...{ name: 'sm90_gemm', params, shared: productLayout(tile), minBlocksPerSm: 1 },
    block: [(1 + consumers) * groupThreads] as const,
    cluster: [tile.cluster],
  } as const;
  return defineKernel(options, (k, p) => {
    const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
    k.launchDependents();
    initRing(k, k.shared, tile);
    const { depth } = p;
    const walk = walkOf(k, tile, { rowTiles: p.rowTiles, columnTiles: p.columnTiles });
    k.if(
      group.eq(0),
      () => {
        if (consumers > 1) k.setMaxRegisters(registers.producer, 'decrease');
        k.role('producer', k.threadIdx.x.lt(32), () => {
          k.if(k.electSync(), () => {
            k.prefetchTensorMap(p.x);
            k.prefetchTensorMap(p.weight);
          });
          const fetchesEarly = p.fetchesEarly.ne(0);
          const x: Operand<TilePlace> = {
            map: p.x,
            rowsOf: ({ row, batch }) => [{ count: tile.rows, row, batch }],
          };
          const weight: Operand<TilePlace> = {
            map: p.weight,
            rowsOf: ({ column, batch }) => [{ count: tile.columns, row: column, batch }],
          };
          produce(k, k.shared, tile, { walk, x, weight, depth, fetchesEarly });
        });
      },
      () => {
        if (consumers > 1) k.setMaxRegisters(registers.consumer, 'increase');
        k.waitForDependencies();
        const batch = k.widen(k.blockIdx.y);
        const matrices = {
          residual: p.residual.bytes(batch.mul(p.residualBatchStride)),
          out: p.out.bytes(batch.mul(p.outBatchStride)),
        };
        const own = { walk, depth, group: group.sub(1) };
        consume(k, k.shared, tile, own, (sums, place) =>
          k.section('finish', () => finishTile(k, { config, p, matrices }, sums, place, own.group)),
        );
      },
      { uniform: true },
    );
    // No CTA may end while another may still copy into it or arrive at its barriers.
    if (tile.cluster > 1) k.clusterBarrier();
  });
}
