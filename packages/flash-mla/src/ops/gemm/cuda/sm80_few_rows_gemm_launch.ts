import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { layoutKey, layoutOf } from '../../kernel-lib/cuda/rows/problem.ts';
import {
  chunkDepth,
  partRows,
  stagesWithin,
  type TileStream,
} from '../../kernel-lib/cuda/rows/stream-tiles.ts';
import { type GemmArgs, gemmOperation } from '../operation.ts';
import type { GemmParams } from './config.ts';
import { type GemmProblem, problemOf, setGemm } from './problem.ts';
import { buildFewRowsGemm, type FewRowsConfig, fewRowsGrid } from './sm80_few_rows_gemm.ts';

const spec: KernelSpec<FewRowsConfig, GemmParams> = {
  name: 'sm80_few_rows_gemm',
  build: buildFewRowsGemm,
};

interface FewRowsPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<FewRowsConfig, GemmParams> };
  readonly ctasPerSm: number;
}

/** Most rows of x, and most of their bytes that may stay in shared memory. */
const mostRows = 32;
const mostKept = 128 * 2 ** 10;
const mostStages = 12;
/** What the driver takes of an SM's shared memory for each CTA. */
const reserved = 1024;

/** The tile of a problem, and how many CTAs an SM has of it; undefined where it does not fit. */
function tileOf(problem: GemmProblem, limits: DeviceLimits) {
  const { depth, rows, weight } = problem;
  const rowTile = Math.ceil(rows / partRows) * partRows;
  const keptDepth = rowTile * depth * 2 <= mostKept ? depth : 0;
  const stream: Omit<TileStream, 'stages'> = {
    ...{ rows: rowTile, keptDepth },
    weight: weight.dtype === 'e4m3' ? 'e4m3' : 'bf16',
  };
  for (const ctas of [2, 1]) {
    const bytes = Math.min(limits.maxSharedPerBlock, limits.maxSharedPerSm / ctas - reserved);
    const stages = stagesWithin(bytes, stream, mostStages);
    if (stages >= (ctas === 1 ? 2 : 4)) return { rowTile, keptDepth, stages, ctas };
  }
  return undefined;
}

function configOf(problem: GemmProblem, tile: Tile): FewRowsConfig {
  const { x, weight, bias, residual, out } = problem;
  const { rowTile, keptDepth, stages } = tile;
  return {
    ...{ x: layoutOf<RowDType>(x), weight: layoutOf(weight), bias, residual, out },
    ...{ rowTile, wholeUnits: true, keptDepth, stages },
  };
}

type Tile = NonNullable<ReturnType<typeof tileOf>>;

/** Few rows of bf16 whose weights stream through tensor cores. */
export const fewRowsGemm = {
  operation: gemmOperation,
  problemOf,
  accepts(problem, limits) {
    const { rows, batch, transposed, x, weight, depth } = problem;
    return (
      rows <= mostRows &&
      batch < 65_536 &&
      !transposed &&
      x.dtype === 'bf16' &&
      x.alignment === 16 &&
      weight.dtype !== 'f32' &&
      weight.alignment === 16 &&
      depth % chunkDepth === 0 &&
      tileOf(problem, limits) !== undefined
    );
  },
  keyOf(problem, limits) {
    const { x, weight, ...others } = configOf(problem, tileOf(problem, limits) as Tile);
    return { ...others, x: layoutKey(x), weight: layoutKey(weight) };
  },
  plan(problem, limits) {
    const tile = tileOf(problem, limits) as Tile;
    const grid = fewRowsGrid(tile.rowTile, limits.smCount * tile.ctas, problem);
    const config = configOf(problem, tile);
    return {
      launches: { main: { kernel: spec, config, grid, overlap: true } },
      ctasPerSm: tile.ctas,
      workspaceBytes: 0,
    };
  },
  bind(context, { launches, ctasPerSm }) {
    const main = context.prepare(launches.main);
    const { rowTile } = launches.main.config;
    const atOnce = context.limits.smCount * ctasPerSm;
    return (args, problem, call) => {
      setGemm(context, main.set, args, problem);
      main.enqueue(call, fewRowsGrid(rowTile, atOnce, problem));
    };
  },
} satisfies CudaKernel<GemmArgs, GemmProblem, FewRowsPlan>;
