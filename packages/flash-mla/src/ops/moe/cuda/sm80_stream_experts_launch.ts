import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { mapGrid } from '../../kernel-lib/cuda/rows/map.ts';
import { layoutKey, layoutOf, strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import {
  chunkDepth,
  partRows,
  stagesWithin,
  type TileStream,
  tileWeights,
} from '../../kernel-lib/cuda/rows/stream-tiles.ts';
import { type ExpertMlpArgs, expertMlpOperation } from '../operation.ts';
import type { CombineConfig, CombineParams } from './sm80_combine_experts.ts';
import {
  type ExpertProblem,
  expertProblem,
  expertSpecs,
  mostBytes,
} from './sm80_expert_mlp_launch.ts';
import { type SortConfig, type SortParams, tileWords } from './sm80_sort_pairs.ts';
import {
  buildStreamDown,
  buildStreamUp,
  type StreamExpertsConfig,
  type StreamExpertsParams,
} from './sm80_stream_experts.ts';

const specs = {
  up: { name: 'sm80_stream_up', build: buildStreamUp },
  down: { name: 'sm80_stream_down', build: buildStreamDown },
} satisfies Record<string, KernelSpec<StreamExpertsConfig, StreamExpertsParams>>;

type ProductLaunch = LaunchPlan<StreamExpertsConfig, StreamExpertsParams>;

interface StreamPlan extends OperationPlan {
  readonly launches: {
    readonly sort: LaunchPlan<SortConfig, SortParams>;
    readonly up: ProductLaunch;
    readonly down: ProductLaunch;
    readonly combine: LaunchPlan<CombineConfig, CombineParams>;
  };
  readonly tile: ExpertTile;
}

/** How many pairs of an expert are computed together, and with how much on its way. */
interface ExpertTile {
  readonly rows: number;
  readonly up: ProductTile;
  readonly down: ProductTile;
}

interface ProductTile {
  readonly stages: number;
  readonly ctasPerSm: number;
}

/** Mean pairs of an expert up to which most experts have no more than a tile of rows. */
const tiles = [
  { rows: 8, mean: 4 },
  { rows: 16, mean: 9 },
  { rows: 24, mean: 15 },
  { rows: 32, mean: Number.POSITIVE_INFINITY },
] as const;
const mostStages = 12;
/** What the driver takes of an SM's shared memory for each CTA. */
const reserved = 1024;

/** Rows that are computed at a time. */
function rowsAtOnce({ rows, topK, hidden, width }: ExpertProblem): number {
  return Math.max(1, Math.min(rows, Math.floor(mostBytes / (topK * (hidden * 4 + width * 2)))));
}

/** The tile of a problem; undefined where its rows of x leave no room. */
function tileOf(problem: ExpertProblem, limits: DeviceLimits): ExpertTile | undefined {
  const { topK, experts, hidden, width, gateUp } = problem;
  const mean = (rowsAtOnce(problem) * topK) / experts;
  const weight = gateUp.dtype === 'e4m3' ? 'e4m3' : 'bf16';
  const wanted = tiles.find((tile) => mean <= tile.mean)?.rows ?? partRows;
  for (let rows: number = wanted; rows >= partRows; rows -= partRows) {
    const up = productTile({ weight, rows, keptDepth: hidden }, limits);
    const down = productTile({ weight, rows, keptDepth: width }, limits);
    if (up && down) return { rows, up, down };
  }
  return undefined;
}

function productTile(
  stream: Omit<TileStream, 'stages'>,
  limits: DeviceLimits,
): ProductTile | undefined {
  for (const ctasPerSm of [2, 1]) {
    const room = limits.maxSharedPerSm / ctasPerSm - reserved;
    const bytes = Math.min(limits.maxSharedPerBlock, room);
    const stages = stagesWithin(bytes, stream, mostStages);
    if (stages >= (ctasPerSm === 1 ? 2 : 4)) return { stages, ctasPerSm };
  }
  return undefined;
}

function configsOf(problem: ExpertProblem, tile: ExpertTile) {
  const { topK, experts, hidden, width, residual, gateUp, out } = problem;
  const { rows } = tile;
  const common = { rows, topK, weight: gateUp.dtype === 'e4m3' ? 'e4m3' : 'bf16' } as const;
  return {
    sort: { experts, rowTile: rows },
    up: { ...common, stages: tile.up.stages, columns: width, keptDepth: hidden },
    down: { ...common, stages: tile.down.stages, columns: hidden, keptDepth: width },
    combine: {
      ...{ columns: hidden, topK, experts, out: layoutOf<RowDType>(out) },
      residual: residual && layoutOf<RowDType>(residual),
    },
  };
}

/** Launch sizes and the parts of the workspace, in bytes, for some rows. */
function sizesOf(problem: ExpertProblem, tile: ExpertTile, rows: number, smCount: number) {
  const { topK, experts, hidden, width } = problem;
  const pairs = rows * topK;
  const parts = Math.min(pairs, experts + Math.floor(pairs / tile.rows));
  const align = (bytes: number) => Math.ceil(bytes / 256) * 256;
  const bytes = [pairs * width * 2, pairs * hidden * 4, pairs * 4, parts * tileWords * 4, 8];
  const starts = bytes.map((_, i) => bytes.slice(0, i).reduce((sum, n) => sum + align(n), 0));
  const [activations = 0, results = 0, order = 0, tileList = 0, numTiles = 0] = starts;
  const grid = ({ ctasPerSm }: ProductTile, columnTiles: number) =>
    [Math.min(smCount * ctasPerSm, parts * columnTiles), 1, 1] as const;
  return {
    ...{ activations, results, order, tileList, numTiles, workspaceBytes: numTiles + 256 },
    grids: {
      sort: [1, 1, 1],
      up: grid(tile.up, width / (tileWeights / 2)),
      down: grid(tile.down, hidden / tileWeights),
      combine: mapGrid(rows, hidden),
    },
  } as const;
}

/** The experts of rows of bf16, whose weights stream through tensor cores. */
export const streamExpertMlp = {
  operation: expertMlpOperation,
  problemOf: expertProblem,
  accepts(problem, limits) {
    const { experts, hidden, width, x, gateUp, down } = problem;
    return (
      experts <= 1024 &&
      x.dtype === 'bf16' &&
      x.alignment === 16 &&
      gateUp.dtype !== 'f32' &&
      gateUp.alignment === 16 &&
      down.alignment === 16 &&
      hidden % chunkDepth === 0 &&
      width % chunkDepth === 0 &&
      tileOf(problem, limits) !== undefined
    );
  },
  keyOf(problem, limits) {
    const { up, down, combine } = configsOf(problem, tileOf(problem, limits) as ExpertTile);
    return {
      ...{ experts: problem.experts, topK: problem.topK, hidden: problem.hidden },
      ...{ width: problem.width, rows: up.rows, weight: up.weight },
      ...{ upStages: up.stages, downStages: down.stages },
      ...{ residual: layoutKey(combine.residual), out: layoutKey(combine.out) },
    };
  },
  plan(problem, limits) {
    const tile = tileOf(problem, limits) as ExpertTile;
    const configs = configsOf(problem, tile);
    const { smCount } = limits;
    const { grids, workspaceBytes } = sizesOf(problem, tile, rowsAtOnce(problem), smCount);
    const overlap = true;
    return {
      launches: {
        sort: { kernel: expertSpecs.sort, config: configs.sort, grid: grids.sort, overlap },
        up: { kernel: specs.up, config: configs.up, grid: grids.up, overlap },
        down: { kernel: specs.down, config: configs.down, grid: grids.down, overlap },
        combine: {
          ...{ kernel: expertSpecs.combine, config: configs.combine, grid: grids.combine, overlap },
        },
      },
      ...{ tile, workspaceBytes },
    };
  },
  bind(context, { launches, tile }) {
    const sort = context.prepare(launches.sort);
    const up = context.prepare(launches.up);
    const down = context.prepare(launches.down);
    const combine = context.prepare(launches.combine);
    const { smCount } = context.limits;
    return (args, problem, call) => {
      const { x, experts, weights, gateUp, gateUpScales, downScales, residual, out } = args;
      const { rows, topK, hidden, width } = problem;
      const most = rowsAtOnce(problem);
      const workspace = call.workspace(sizesOf(problem, tile, most, smCount).workspaceBytes);
      for (let first = 0; first < rows; first += most) {
        const count = Math.min(most, rows - first);
        const { grids, ...places } = sizesOf(problem, tile, count, smCount);
        const [ids, factors] = [experts, weights].map(
          (view) => context.address(view) + first * topK * 4,
        ) as [number, number];
        const order = workspace + places.order;
        const tileList = workspace + places.tileList;
        const numTiles = workspace + places.numTiles;
        sort.set.ids(ids);
        sort.set.count(count * topK);
        sort.set.order(order);
        sort.set.tiles(tileList);
        sort.set.numTiles(numTiles);
        sort.enqueue(call, grids.sort);

        for (const { set } of [up, down]) {
          set.order(order);
          set.tiles(tileList);
          set.numTiles(numTiles);
        }
        up.set.x(context.address(x) + first * strideBytes(x));
        up.set.weight(context.address(gateUp));
        up.set.scales(context.address(gateUpScales));
        up.set.out(workspace + places.activations);
        up.set.depth(hidden);
        up.set.xStride(strideBytes(x));
        up.set.weightStride(strideBytes(gateUp, 1));
        up.set.expertStride(strideBytes(gateUp, 0));
        up.set.scalesStride(gateUpScales?.strides[1] ?? 0);
        up.set.scalesExpertStride(gateUpScales?.strides[0] ?? 0);
        up.enqueue(call, grids.up);

        down.set.x(workspace + places.activations);
        down.set.weight(context.address(args.down));
        down.set.scales(context.address(downScales));
        down.set.out(workspace + places.results);
        down.set.depth(width);
        down.set.xStride(width * 2);
        down.set.weightStride(strideBytes(args.down, 1));
        down.set.expertStride(strideBytes(args.down, 0));
        down.set.scalesStride(downScales?.strides[1] ?? 0);
        down.set.scalesExpertStride(downScales?.strides[0] ?? 0);
        down.enqueue(call, grids.down);

        combine.set.ids(ids);
        combine.set.weights(factors);
        combine.set.parts(workspace + places.results);
        combine.set.residual(
          residual ? context.address(residual) + first * strideBytes(residual) : 0,
        );
        combine.set.out(context.address(out) + first * strideBytes(out));
        combine.set.residualStride(strideBytes(residual));
        combine.set.outStride(strideBytes(out));
        combine.enqueue(call, grids.combine);
      }
    };
  },
} satisfies CudaKernel<ExpertMlpArgs, ExpertProblem, StreamPlan>;
