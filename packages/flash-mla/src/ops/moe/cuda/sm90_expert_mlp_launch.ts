import type { TensorMapDescription } from '@flash-mla/ptx';
import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import { mapGrid } from '../../kernel-lib/cuda/rows/map.ts';
import { layoutKey, layoutOf, strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import {
  depthOf,
  type ProductTile,
  stagesWithin,
} from '../../kernel-lib/cuda/sm90/products/tile.ts';
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
  sortSpec,
} from './experts_launch.ts';
import {
  buildGatherRows,
  type GatherConfig,
  type GatherParams,
  gatherGrid,
} from './sm80_gather_rows.ts';
import type { HopperExpertsConfig, HopperExpertsParams } from './sm90_expert_product.ts';
import { buildHopperDown, buildHopperUp } from './sm90_expert_products.ts';
import { buildFewDown, buildFewUp } from './sm90_few_expert_products.ts';

const specs = {
  gather: { name: 'sm80_gather_rows', build: buildGatherRows } satisfies KernelSpec<
    GatherConfig,
    GatherParams
  >,
  up: { name: 'sm90_expert_up', architectureSpecific: true, build: buildHopperUp },
  down: { name: 'sm90_expert_down', architectureSpecific: true, build: buildHopperDown },
  fewUp: { name: 'sm90_few_expert_up', architectureSpecific: true, build: buildFewUp },
  fewDown: { name: 'sm90_few_expert_down', architectureSpecific: true, build: buildFewDown },
} satisfies Record<string, unknown>;

type ProductLaunch = LaunchPlan<HopperExpertsConfig, HopperExpertsParams>;

interface HopperExpertsPlan extends OperationPlan {
  readonly launches: PairLaunches & {
    readonly gather: LaunchPlan<GatherConfig, GatherParams>;
    readonly up: ProductLaunch;
    readonly down: ProductLaunch;
  };
  readonly tile: ExpertTile;
}

/**
 * Mean pairs of an expert from which they are the rows of multiplications, 64 and 128 of them; of fewer, the
 * rows are weights.
 */
const leastMean = 40;
const manyMean = 96;
/** Rows of weights of a tile, where they are the rows of multiplications. */
const weightRows = 128;
/** Bytes that intermediate results may take: of more rows, some at a time are computed. */
const mostBytes = 512 * 2 ** 20;

/** Rows that are computed at a time. */
function rowsAtOnce({ rows, topK, hidden, width }: ExpertProblem): number {
  const bytes = topK * (hidden * 6 + width * 2);
  return Math.max(1, Math.min(rows, Math.floor(mostBytes / bytes)));
}

const meanOf = (problem: ExpertProblem) =>
  (rowsAtOnce(problem) * problem.topK) / Math.max(1, problem.experts);

/** How the pairs of an expert are multiplied. */
interface ExpertTile {
  readonly tile: ProductTile;
  /** Whether weights are the rows of multiplications. */
  readonly isSwapped: boolean;
  /** Pairs, and columns of each product, of a tile. */
  readonly pairs: number;
  readonly upColumns: number;
  readonly downColumns: number;
}

function tileOf(problem: ExpertProblem, limits: DeviceLimits): ExpertTile {
  const mean = meanOf(problem);
  const isSwapped = mean < leastMean;
  // Most experts have no more than a tile of pairs.
  const few = Math.ceil((mean + 2.5 * Math.sqrt(mean)) / 8) * 8;
  const size = isSwapped
    ? {
        rows: weightRows,
        columns: Math.max(8, Math.min(few, problem.rows + 7 - ((problem.rows + 7) % 8))),
      }
    : { rows: mean < manyMean ? 64 : 128, columns: 256 };
  const stages = stagesWithin(limits.maxSharedPerBlock, size);
  const tile = { element: 'bf16', ...size, cluster: 1, shares: 'weights', stages } as const;
  return isSwapped
    ? { tile, isSwapped, pairs: size.columns, upColumns: weightRows / 2, downColumns: weightRows }
    : { tile, isSwapped, pairs: size.rows, upColumns: size.columns / 2, downColumns: size.columns };
}

/** Launch sizes and the parts of the workspace, in bytes, for some rows. */
function sizesOf(problem: ExpertProblem, tile: ExpertTile, rows: number, smCount: number) {
  const { topK, experts, hidden, width } = problem;
  const pairs = rows * topK;
  const parts = mostTiles(experts, pairs, tile.pairs);
  const grid = (columnTiles: number) => [Math.min(smCount, parts * columnTiles), 1, 1] as const;
  return {
    pairs,
    ...layOut({
      gathered: pairs * hidden * 2,
      activations: pairs * width * 2,
      results: pairs * hidden * 4,
      ...listBytes(pairs, parts),
    }),
    grids: {
      gather: gatherGrid(pairs),
      up: grid(Math.ceil(width / tile.upColumns)),
      down: grid(Math.ceil(hidden / tile.downColumns)),
    },
  } as const;
}

function configsOf(problem: ExpertProblem, { tile, pairs }: ExpertTile) {
  const { topK, experts, hidden, width } = problem;
  return {
    sort: { experts, rowTile: pairs },
    gather: { columns: hidden, topK, width },
    up: { tile, columns: width },
    down: { tile, columns: hidden },
    combine: combineConfigOf(problem),
  };
}

/** (depth, rows, matrices) in boxes of so many rows. */
function mapOf(
  address: number,
  dims: readonly [depth: number, rows: number, matrices: number],
  strides: readonly [rows: number, matrices: number],
  boxRows: number,
): TensorMapDescription {
  return {
    ...{ element: 'bf16', dims, address, swizzle: '128B', l2Promotion: '256B' },
    // Strides along what has one element are nobody's, but must be valid.
    strides: strides.map((stride, i) => ((dims[i + 1] as number) > 1 ? stride : dims[0] * 2)),
    box: [depthOf('bf16'), boxRows, 1],
  };
}

/** Gates and what they are multiplied with in turn, by eights: (depth, 8, 2, eights, experts). */
function interleavedMap(
  address: number,
  { hidden, width, experts }: ExpertProblem,
  [rowStride, expertStride]: readonly [number, number],
): TensorMapDescription {
  return {
    ...{ element: 'bf16', address, swizzle: '128B', l2Promotion: '256B' },
    dims: [hidden, 8, 2, width / 8, experts],
    strides: [rowStride, width * rowStride, 8 * rowStride, experts > 1 ? expertStride : rowStride],
    box: [depthOf('bf16'), 8, 2, weightRows / 16, 1],
  };
}

const isMapped = ({ dtype, alignment, strides }: ExpertProblem['gateUp']) =>
  dtype === 'bf16' && alignment === 16 && strides.every((n) => n >= 8 && n < 2 ** 38);

/** Experts on warp groups. */
export const hopperExpertMlp = {
  operation: expertMlpOperation,
  problemOf: expertProblem,
  accepts(problem, limits) {
    const { experts, hidden, width, x, gateUp, down } = problem;
    return (
      limits.specificTarget === 'sm_90a' &&
      experts <= 1024 &&
      x.dtype === 'bf16' &&
      x.alignment === 16 &&
      hidden % 8 === 0 &&
      width % 8 === 0 &&
      isMapped(gateUp) &&
      isMapped(down)
    );
  },
  keyOf(problem, limits) {
    const { tile, isSwapped } = tileOf(problem, limits);
    const { rows, columns, stages } = tile;
    return {
      ...{ experts: problem.experts, topK: problem.topK, hidden: problem.hidden },
      ...{ width: problem.width, isSwapped, rows, columns, stages },
      out: layoutKey(layoutOf(problem.out)),
      residual: layoutKey(problem.residual && layoutOf(problem.residual)),
    };
  },
  plan(problem, limits) {
    const tile = tileOf(problem, limits);
    const configs = configsOf(problem, tile);
    const rows = rowsAtOnce(problem);
    const { grids, workspaceBytes } = sizesOf(problem, tile, rows, limits.smCount);
    const combineGrid = mapGrid(rows, problem.hidden);
    const overlap = true;
    const [up, down] = tile.isSwapped ? [specs.fewUp, specs.fewDown] : [specs.up, specs.down];
    return {
      launches: {
        sort: { kernel: sortSpec, config: configs.sort, grid: [1, 1, 1], overlap },
        gather: { kernel: specs.gather, config: configs.gather, grid: grids.gather, overlap },
        up: { kernel: up, config: configs.up, grid: grids.up, overlap },
        down: { kernel: down, config: configs.down, grid: grids.down, overlap },
        combine: { kernel: combineSpec, config: configs.combine, grid: combineGrid, overlap },
      },
      ...{ tile, workspaceBytes },
    };
  },
  bind(context, { launches, tile }) {
    const pairs = bindPairs(context, launches);
    const gather = context.prepare(launches.gather);
    const up = context.prepare(launches.up);
    const down = context.prepare(launches.down);
    const { rows: rowsOfTile, columns: columnsOfTile } = tile.tile;
    const { smCount } = context.limits;
    return (args, problem, call) => {
      const { x, gateUp } = args;
      const { rows, hidden, width, experts } = problem;
      const most = rowsAtOnce(problem);
      const workspace = call.workspace(sizesOf(problem, tile, most, smCount).workspaceBytes);
      const upStrides = [strideBytes(gateUp, 1), strideBytes(gateUp, 0)] as const;
      const upAddress = context.address(gateUp);
      up.set.weight(
        tile.isSwapped
          ? interleavedMap(upAddress, problem, upStrides)
          : mapOf(upAddress, [hidden, 2 * width, experts], upStrides, columnsOfTile / 2),
      );
      down.set.weight(
        mapOf(
          context.address(args.down),
          [width, hidden, experts],
          [strideBytes(args.down, 1), strideBytes(args.down, 0)],
          tile.isSwapped ? rowsOfTile : columnsOfTile,
        ),
      );
      for (let first = 0; first < rows; first += most) {
        const count = Math.min(most, rows - first);
        const { grids, places, pairs: numPairs } = sizesOf(problem, tile, count, smCount);
        const some = { first, count, workspace, places };
        const lists = pairs.sort(args, some, call);

        gather.set.x(context.address(x) + first * strideBytes(x));
        gather.set.order(lists.order);
        gather.set.counts(lists.numTiles);
        gather.set.out(workspace + places.gathered);
        gather.set.activations(workspace + places.activations);
        gather.set.count(numPairs);
        gather.set.xStride(strideBytes(x));
        gather.enqueue(call, grids.gather);

        const rowsOf = (from: number, columns: number) =>
          mapOf(workspace + from, [columns, numPairs, 1], [columns * 2, 0], tile.pairs);
        setLists(up, lists);
        up.set.x(rowsOf(places.gathered, hidden));
        up.set.out(workspace + places.activations);
        up.set.depth(hidden);
        up.enqueue(call, grids.up);

        setLists(down, lists);
        down.set.x(rowsOf(places.activations, width));
        down.set.out(workspace + places.results);
        down.set.depth(width);
        down.enqueue(call, grids.down);

        pairs.combine(args, some, workspace + places.results, call);
      }
    };
  },
} satisfies CudaKernel<ExpertMlpArgs, ExpertProblem, HopperExpertsPlan>;
