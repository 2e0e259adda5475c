import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import { strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import { depthOf, type ProductTile } from '../../kernel-lib/cuda/sm90/products/tile.ts';
import { type GemmArgs, gemmOperation } from '../operation.ts';
import { type GemmProblem, problemOf, setCommon } from './problem.ts';
import { buildQuantizeRows, type QuantizeParams, quantizeGrid } from './sm80_quantize_rows.ts';
import { chooseTile } from './sm90/choose-tile.ts';
import { tileCounts } from './sm90/counts.ts';
import {
  buildHopperE4m3Gemm,
  type HopperE4m3Config,
  type HopperE4m3Params,
} from './sm90_e4m3_gemm.ts';
import { hopperGrid, hopperMap } from './sm90_gemm_launch.ts';

type NoConfig = Record<never, never>;

const specs = {
  quantize: { name: 'sm80_quantize_rows', build: buildQuantizeRows } satisfies KernelSpec<
    NoConfig,
    QuantizeParams
  >,
  main: {
    ...{ name: 'sm90_e4m3_gemm', architectureSpecific: true, build: buildHopperE4m3Gemm },
  } satisfies KernelSpec<HopperE4m3Config, HopperE4m3Params>,
};

interface E4m3Plan extends OperationPlan {
  readonly launches: {
    readonly quantize: LaunchPlan<NoConfig, QuantizeParams>;
    readonly main: LaunchPlan<HopperE4m3Config, HopperE4m3Params>;
  };
}

const blockDepth = depthOf('e4m3');
/** Shared memory that the scales of rows may take. */
const scaleRoom = 6 * 1024;

function tileOf(problem: GemmProblem, limits: DeviceLimits): ProductTile<'e4m3'> {
  const maxSharedPerBlock = limits.maxSharedPerBlock - scaleRoom;
  return chooseTile('e4m3', problem, { smCount: limits.smCount, maxSharedPerBlock });
}

function configOf(problem: GemmProblem, tile: ProductTile<'e4m3'>): HopperE4m3Config {
  const { bias, residual, out, columns, outAlignment } = problem;
  return { tile, bias, residual, out, wholeUnits: columns % 8 === 0 && outAlignment === 16 };
}

/** The parts of the workspace: rows as e4m3, and their scales, for whole tiles of rows. */
function workspaceOf({ rows, depth }: GemmProblem) {
  const paddedRows = Math.ceil(rows / 256) * 256;
  const scales = Math.ceil((rows * depth) / 256) * 256;
  return { paddedRows, scales, bytes: scales + (paddedRows * depth * 4) / blockDepth };
}

/** Rows of bf16, rounded to e4m3, with e4m3 weights on warp groups. */
export const hopperE4m3Gemm = {
  operation: gemmOperation,
  problemOf,
  accepts: ({ rows, batch, transposed, allowsE4m3Rows, x, weight, columns, depth }, limits) =>
    allowsE4m3Rows &&
    limits.specificTarget === 'sm_90a' &&
    !transposed &&
    batch === 1 &&
    rows <= 65_280 &&
    depth % blockDepth === 0 &&
    x.dtype === 'bf16' &&
    x.alignment >= 8 &&
    weight.dtype === 'e4m3' &&
    weight.alignment === 16 &&
    (columns < 2 || (weight.strides[1] ?? 0) >= 16),
  keyOf(problem, limits) {
    const { tile, ...others } = configOf(problem, tileOf(problem, limits));
    return { ...tile, ...others };
  },
  plan(problem, limits) {
    const tile = tileOf(problem, limits);
    const grid = hopperGrid(problem, tile, limits.smCount);
    const cluster = tile.cluster > 1 ? { cluster: [tile.cluster, 1, 1] as const } : {};
    const { bytes, paddedRows } = workspaceOf(problem);
    const quantizes = quantizeGrid(paddedRows, problem.depth / blockDepth);
    return {
      launches: {
        quantize: { kernel: specs.quantize, config: {}, grid: quantizes, overlap: true },
        main: {
          ...{ kernel: specs.main, config: configOf(problem, tile), grid, overlap: true },
          ...cluster,
        },
      },
      workspaceBytes: bytes,
    };
  },
  bind(context, { launches }) {
    const quantize = context.prepare(launches.quantize);
    const main = context.prepare(launches.main);
    const { tile } = launches.main.config;
    const ofCluster = (shares: 'weights' | 'rows') => (tile.shares === shares ? tile.cluster : 1);
    return (args, problem, call) => {
      const { x, weight, weightScales } = args;
      const { rows, columns, depth } = problem;
      const { bytes, paddedRows, scales } = workspaceOf(problem);
      const codes = call.workspace(bytes);
      const blocks = depth / blockDepth;
      quantize.set.x(context.address(x));
      quantize.set.codes(codes);
      quantize.set.scales(codes + scales);
      quantize.set.rows(rows);
      quantize.set.blocks(blocks);
      quantize.set.paddedRows(paddedRows);
      quantize.set.xStride(strideBytes(x, 0));
      quantize.enqueue(call, quantizeGrid(paddedRows, blocks));

      setCommon(context, main.set, args, problem);
      const ofX = { depth, rows, batch: 1, rowStride: depth, batchStride: 0 };
      main.set.x(hopperMap('e4m3', codes, ofX, tile.rows / ofCluster('rows')));
      const ofWeight = { ...ofX, rows: columns, rowStride: strideBytes(weight, 1) };
      const address = context.address(weight);
      main.set.weight(hopperMap('e4m3', address, ofWeight, tile.columns / ofCluster('weights')));
      main.set.weightScales(context.address(weightScales));
      main.set.rowScales(codes + scales);
      main.set.paddedRows(paddedRows);
      const { rowTiles, columnTiles } = tileCounts(tile, rows, columns);
      main.set.rowTiles(rowTiles);
      main.set.columnTiles(columnTiles);
      main.enqueue(call, hopperGrid(problem, tile, context.limits.smCount));
    };
  },
} satisfies CudaKernel<GemmArgs, GemmProblem, E4m3Plan>;
