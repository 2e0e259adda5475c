import type { TensorMapDescription } from '@flash-mla/ptx';
import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import { strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import {
  depthOf,
  type ProductElement,
  type ProductTile,
  rowBytes,
} from '../../kernel-lib/cuda/sm90/products/tile.ts';
import { type GemmArgs, gemmOperation } from '../operation.ts';
import { type GemmProblem, problemOf, setCommon } from './problem.ts';
import { chooseTile } from './sm90/choose-tile.ts';
import { tileCounts } from './sm90/counts.ts';
import { buildHopperGemm, type HopperGemmConfig, type HopperGemmParams } from './sm90_gemm.ts';

export const hopperGemmSpec: KernelSpec<HopperGemmConfig, HopperGemmParams> = {
  name: 'sm90_gemm',
  architectureSpecific: true,
  build: buildHopperGemm,
};

interface HopperGemmPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<HopperGemmConfig, HopperGemmParams> };
}

/** Whether tensor copies can bring an operand: neighbours along each dimension are 16 bytes apart. */
const isMapped = ({ alignment, strides, dtype }: GemmProblem['x'], counts: readonly number[]) =>
  dtype === 'bf16' &&
  alignment === 16 &&
  strides.every((stride, d) => (counts[d] ?? 1) < 2 || (stride >= 8 && stride < 2 ** 38));

function configOf(problem: GemmProblem, tile: ProductTile): HopperGemmConfig {
  const { bias, residual, out, columns, outAlignment } = problem;
  return { tile, bias, residual, out, wholeUnits: columns % 8 === 0 && outAlignment === 16 };
}

export function hopperGrid(
  problem: GemmProblem,
  tile: ProductTile<ProductElement>,
  smCount: number,
) {
  const { rowTiles, columnTiles } = tileCounts(tile, problem.rows, problem.columns);
  const atOnce = Math.max(1, Math.floor(smCount / tile.cluster));
  const clusters = Math.min(
    rowTiles * columnTiles,
    Math.max(1, Math.floor(atOnce / problem.batch)),
  );
  return [clusters * tile.cluster, problem.batch, 1] as const;
}

/** An operand as (depth, rows, batch), in boxes of `rows`. */
export function hopperMap(
  element: ProductElement,
  address: number,
  sizes: { depth: number; rows: number; batch: number; rowStride: number; batchStride: number },
  boxRows: number,
): TensorMapDescription {
  const { depth, rows, batch, rowStride, batchStride } = sizes;
  const depthBytes = (depth * rowBytes) / depthOf(element);
  // Strides along what has one element are nobody's, but must be valid.
  const ofRows = rows > 1 ? rowStride : depthBytes;
  return {
    element,
    dims: [depth, rows, batch],
    strides: [Math.max(16, ofRows), batch > 1 ? batchStride : 16],
    box: [depthOf(element), boxRows, 1],
    swizzle: '128B',
    l2Promotion: '256B',
    address,
  };
}

/** More rows than few of bf16, on warp groups. */
export const hopperGemm = {
  operation: gemmOperation,
  problemOf,
  accepts: ({ rows, columns, batch, transposed, x, weight, depth }, limits) =>
    limits.specificTarget === 'sm_90a' &&
    !transposed &&
    batch < 65_536 &&
    depth % 8 === 0 &&
    isMapped(x, [rows, batch]) &&
    isMapped(weight, [batch, columns]),
  keyOf(problem, limits) {
    const { tile, ...others } = configOf(problem, chooseTile('bf16', problem, limits));
    return { ...tile, ...others };
  },
  plan(problem, limits) {
    const tile = chooseTile('bf16', problem, limits);
    const config = configOf(problem, tile);
    const grid = hopperGrid(problem, tile, limits.smCount);
    const cluster = tile.cluster > 1 ? { cluster: [tile.cluster, 1, 1] as const } : {};
    return {
      launches: { main: { kernel: hopperGemmSpec, config, grid, overlap: true, ...cluster } },
      workspaceBytes: 0,
    };
  },
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { tile } = launches.main.config;
    const ofCluster = (shares: ProductTile['shares']) =>
      tile.shares === shares ? tile.cluster : 1;
    return (args, problem, call) => {
      const { x, weight } = args;
      const { rows, columns, depth, batch } = problem;
      setCommon(context, main.set, args, problem);
      const ofX = { rows, rowStride: strideBytes(x, 0), batchStride: strideBytes(x, 1) };
      main.set.x(
        hopperMap(
          'bf16',
          context.address(x),
          { ...ofX, depth, batch },
          tile.rows / ofCluster('rows'),
        ),
      );
      const [batchStride, rowStride] = [strideBytes(weight, 0), strideBytes(weight, 1)];
      const ofWeight = { rows: columns, rowStride, batchStride };
      main.set.weight(
        hopperMap(
          'bf16',
          context.address(weight),
          { ...ofWeight, depth, batch },
          tile.columns / ofCluster('weights'),
        ),
      );
      const { rowTiles, columnTiles } = tileCounts(tile, rows, columns);
      main.set.rowTiles(rowTiles);
      main.set.columnTiles(columnTiles);
      main.enqueue(call, hopperGrid(problem, tile, context.limits.smCount));
    };
  },
} satisfies CudaKernel<GemmArgs, GemmProblem, HopperGemmPlan>;
