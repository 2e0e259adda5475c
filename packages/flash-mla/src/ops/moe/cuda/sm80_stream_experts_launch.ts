import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import { mapGrid } from '../../kernel-lib/cuda/rows/map.ts';
import { layoutKey, strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import {
  chunkDepth,
  partRows,
  stagesWithin,
  type TileStream,
  tileWeights,
} from '../../kernel-lib/cuda/rows/stream-tiles.ts';
import { type ExpertMlpArgs, expertMlpOperation } from '../operation.ts';
import {
  bindPairs,
  combineConfigOf,
  combineSpec,
  type ExpertProblem,
  expertProblem,
  layOut,
  listBytes,
  mostTiles,
  type PairLaunches,
  setLists,
  setWeights,
  sortSpec,
} from './experts_launch.ts';
import { mostBytes } from './sm80_expert_mlp_launch.ts';
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
  readonly launches: PairLaunches & { readonly up: ProductLaunch; readonly down: ProductLaunch };
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
  const { topK, experts, hidden, width, gateUp } = problem;
  const { rows } = tile;
  const common = { rows, topK, weight: gateUp.dtype === 'e4m3' ? 'e4m3' : 'bf16' } as const;
  return {
    sort: { experts, rowTile: rows },
    up: { ...common, stages: tile.up.stages, columns: width, keptDepth: hidden },
    down: { ...common, stages: tile.down.stages, columns: hidden, keptDepth: width },
    combine: combineConfigOf(problem),
  };
}

/** Launch sizes and the parts of the workspace, in bytes, for some rows. */
function sizesOf(problem: ExpertProblem, tile: ExpertTile, rows: number, smCount: number) {
  const { topK, experts, hidden, width } = problem;
  const pairs = rows * topK;
  const parts = mostTiles(experts, pairs, tile.rows);
  const grid = ({ ctasPerSm }: ProductTile, columnTiles: number) =>
    [Math.min(smCount * ctasPerSm, parts * columnTiles), 1, 1] as const;
  return {
    ...layOut({
      activations: pairs * width * 2,
      results: pairs * hidden * 4,
      ...listBytes(pairs, parts),
    }),
    grids: {
      up: grid(tile.up, width / (tileWeights / 2)),
      down: grid(tile.down, hidden / tileWeights),
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
    const rows = rowsAtOnce(problem);
    const { grids, workspaceBytes } = sizesOf(problem, tile, rows, limits.smCount);
    const combineGrid = mapGrid(rows, problem.hidden);
    const overlap = true;
    return {
      launches: {
        sort: { kernel: sortSpec, config: configs.sort, grid: [1, 1, 1], overlap },
        up: { kernel: specs.up, config: configs.up, grid: grids.up, overlap },
        down: { kernel: specs.down, config: configs.down, grid: grids.down, overlap },
        combine: { kernel: combineSpec, config: configs.combine, grid: combineGrid, overlap },
      },
      ...{ tile, workspaceBytes },
    };
  },
  bind(context, { launches, tile }) {
    const pairs = bindPairs(context, launches);
    const up = context.prepare(launches.up);
    const down = context.prepare(launches.down);
    const { smCount } = context.limits;
    return (args, problem, call) => {
      const { x, gateUp, gateUpScales, downScales } = args;
      const { rows, hidden, width } = problem;
      const most = rowsAtOnce(problem);
      const workspace = call.workspace(sizesOf(problem, tile, most, smCount).workspaceBytes);
      setWeights(up.set, context, gateUp, gateUpScales);
      setWeights(down.set, context, args.down, downScales);
      for (let first = 0; first < rows; first += most) {
        const count = Math.min(most, rows - first);
        const { grids, places } = sizesOf(problem, tile, count, smCount);
        const some = { first, count, workspace, places };
        const lists = pairs.sort(args, some, call);

        setLists(up, lists);
        up.set.x(context.address(x) + first * strideBytes(x));
        up.set.xStride(strideBytes(x));
        up.set.depth(hidden);
        up.set.out(workspace + places.activations);
        up.enqueue(call, grids.up);

        setLists(down, lists);
        down.set.x(workspace + places.activations);
        down.set.xStride(width * 2);
        down.set.depth(width);
        down.set.out(workspace + places.results);
        down.enqueue(call, grids.down);

        pairs.combine(args, some, workspace + places.results, call);
      }
    };
  },
} satisfies CudaKernel<ExpertMlpArgs, ExpertProblem, StreamPlan>;
