import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { RowDType, RowLayout } from '../../kernel-lib/cuda/rows/columns.ts';
import { mapGrid } from '../../kernel-lib/cuda/rows/map.ts';
import {
  layoutKey,
  layoutOf,
  type RowsProblem,
  rowsOf,
  strideBytes,
} from '../../kernel-lib/cuda/rows/problem.ts';
import { type ExpertMlpArgs, expertMlpOperation } from '../operation.ts';
import {
  buildCombineExperts,
  type CombineConfig,
  type CombineParams,
} from './sm80_combine_experts.ts';
import {
  buildExpertDown,
  buildExpertUp,
  downColumns,
  type ProductConfig,
  type ProductParams,
  upColumns,
} from './sm80_expert_products.ts';
import { buildSortPairs, type SortConfig, type SortParams, tileWords } from './sm80_sort_pairs.ts';

/** What kernel selection sees of a call. */
export interface ExpertProblem {
  readonly rows: number;
  readonly topK: number;
  readonly experts: number;
  readonly hidden: number;
  readonly width: number;
  readonly x: RowsProblem;
  /** Strides (experts, rows). */
  readonly gateUp: RowsProblem;
  readonly down: RowsProblem;
  readonly residual: RowsProblem | undefined;
  readonly out: RowsProblem;
}

export const expertSpecs = {
  sort: { name: 'sm80_sort_pairs', build: buildSortPairs } satisfies KernelSpec<
    SortConfig,
    SortParams
  >,
  up: { name: 'sm80_expert_up', build: buildExpertUp } satisfies KernelSpec<
    ProductConfig,
    ProductParams
  >,
  down: { name: 'sm80_expert_down', build: buildExpertDown } satisfies KernelSpec<
    ProductConfig,
    ProductParams
  >,
  combine: { name: 'sm80_combine_experts', build: buildCombineExperts } satisfies KernelSpec<
    CombineConfig,
    CombineParams
  >,
};

interface ExpertPlan extends OperationPlan {
  readonly launches: {
    readonly sort: LaunchPlan<SortConfig, SortParams>;
    readonly up: LaunchPlan<ProductConfig, ProductParams>;
    readonly down: LaunchPlan<ProductConfig, ProductParams>;
    readonly combine: LaunchPlan<CombineConfig, CombineParams>;
  };
}

/** Bytes that intermediate results may take: of more rows, some at a time are computed. */
export const mostBytes = 256 * 2 ** 20;

/** Rows that are computed at a time. */
function rowsAtOnce({ rows, topK, hidden, width }: ExpertProblem): number {
  return Math.max(1, Math.min(rows, Math.floor(mostBytes / (topK * (hidden + width) * 4))));
}

/** Pairs that share a stream of weights: about as many as an expert has, one of a few numbers. */
function rowTileOf(problem: ExpertProblem): number {
  const pairs = rowsAtOnce(problem) * problem.topK;
  const ofExpert = Math.max(1, pairs / Math.min(problem.experts, pairs));
  return Math.min(4, 2 ** Math.ceil(Math.log2(ofExpert)));
}

function configsOf(problem: ExpertProblem) {
  const { topK, experts, hidden, width, residual } = problem;
  const rowTile = rowTileOf(problem);
  const activations: RowLayout<RowDType> = { dtype: 'f32', alignment: width % 4 === 0 ? 16 : 4 };
  const [gateUp, down] = [layoutOf(problem.gateUp), layoutOf(problem.down)];
  return {
    sort: { experts, rowTile },
    up: { x: layoutOf<RowDType>(problem.x), weight: gateUp, rowTile, wholeUnits: hidden % 8 === 0 },
    down: { x: activations, weight: down, rowTile, wholeUnits: width % 8 === 0 },
    combine: {
      ...{ columns: hidden, topK, experts, out: layoutOf<RowDType>(problem.out) },
      residual: residual && layoutOf<RowDType>(residual),
    },
  };
}

/** Launch sizes and the parts of the workspace, in bytes, for some rows. */
function sizesOf({ topK, experts, hidden, width }: ExpertProblem, rowTile: number, rows: number) {
  const pairs = rows * topK;
  const tiles = Math.min(pairs, experts + Math.floor(pairs / rowTile));
  const align = (bytes: number) => Math.ceil(bytes / 256) * 256;
  const bytes = [pairs * width * 4, pairs * hidden * 4, pairs * 4, tiles * tileWords * 4, 8];
  const starts = bytes.map((_, i) => bytes.slice(0, i).reduce((sum, n) => sum + align(n), 0));
  const [activations = 0, parts = 0, order = 0, tileList = 0, numTiles = 0] = starts;
  return {
    ...{ activations, parts, order, tileList, numTiles, workspaceBytes: numTiles + 256 },
    grids: {
      sort: [1, 1, 1],
      up: [Math.ceil(width / upColumns), tiles, 1],
      down: [Math.ceil(hidden / downColumns), tiles, 1],
      combine: mapGrid(rows, hidden),
    },
  } as const;
}

export function expertProblem(args: ExpertMlpArgs): ExpertProblem {
  const { x, experts, gateUp, down, residual, out } = args;
  return {
    ...{ rows: x.shape[0] ?? 0, topK: experts.shape[1] ?? 0, experts: gateUp.shape[0] ?? 0 },
    ...{ hidden: x.shape[1] ?? 0, width: down.shape[2] ?? 0 },
    ...{ x: rowsOf(x), gateUp: rowsOf(gateUp), down: rowsOf(down), out: rowsOf(out) },
    residual: residual && rowsOf(residual),
  };
}

/** The experts of rows on every GPU. */
export const portableExpertMlp = {
  operation: expertMlpOperation,
  problemOf: expertProblem,
  accepts: (problem) => {
    const { grids } = sizesOf(problem, rowTileOf(problem), rowsAtOnce(problem));
    return problem.experts <= 1024 && grids.up[1] < 65_536;
  },
  keyOf(problem) {
    const { up, down, combine } = configsOf(problem);
    const { rowTile, wholeUnits } = up;
    return {
      ...{ experts: problem.experts, topK: problem.topK, hidden: problem.hidden },
      ...{ rowTile, wholeUnits, wholeWidth: down.wholeUnits, activations: layoutKey(down.x) },
      ...{ x: layoutKey(up.x), gateUp: layoutKey(up.weight), down: layoutKey(down.weight) },
      ...{ residual: layoutKey(combine.residual), out: layoutKey(combine.out) },
    };
  },
  plan(problem) {
    const configs = configsOf(problem);
    const rows = rowsAtOnce(problem);
    const { grids, workspaceBytes } = sizesOf(problem, configs.sort.rowTile, rows);
    return {
      launches: {
        sort: { kernel: expertSpecs.sort, config: configs.sort, grid: grids.sort },
        up: { kernel: expertSpecs.up, config: configs.up, grid: grids.up },
        down: { kernel: expertSpecs.down, config: configs.down, grid: grids.down },
        combine: { kernel: expertSpecs.combine, config: configs.combine, grid: grids.combine },
      },
      workspaceBytes,
    };
  },
  bind(context, { launches }) {
    const sort = context.prepare(launches.sort);
    const up = context.prepare(launches.up);
    const down = context.prepare(launches.down);
    const combine = context.prepare(launches.combine);
    const { rowTile } = launches.sort.config;
    return (args, problem, call) => {
      const { x, experts, weights, gateUp, gateUpScales, downScales, residual, out } = args;
      const { rows, topK, hidden, width } = problem;
      const most = rowsAtOnce(problem);
      const { workspaceBytes } = sizesOf(problem, rowTile, most);
      const workspace = call.workspace(workspaceBytes);
      for (let first = 0; first < rows; first += most) {
        const count = Math.min(most, rows - first);
        const { grids, ...places } = sizesOf(problem, rowTile, count);
        const [ids, factors] = [experts, weights].map(
          (view) => context.address(view) + first * topK * 4,
        ) as [number, number];
        const order = workspace + places.order;
        const tiles = workspace + places.tileList;
        const numTiles = workspace + places.numTiles;
        sort.set.ids(ids);
        sort.set.count(count * topK);
        sort.set.order(order);
        sort.set.tiles(tiles);
        sort.set.numTiles(numTiles);
        sort.enqueue(call, grids.sort);

        for (const { set } of [up, down]) {
          set.order(order);
          set.tiles(tiles);
          set.numTiles(numTiles);
        }
        up.set.x(context.address(x) + first * strideBytes(x));
        up.set.weight(context.address(gateUp));
        up.set.scales(context.address(gateUpScales));
        up.set.out(workspace + places.activations);
        up.set.columns(width);
        up.set.depth(hidden);
        up.set.pairsPerRow(topK);
        up.set.xStride(strideBytes(x));
        up.set.weightStride(strideBytes(gateUp, 1));
        up.set.expertStride(strideBytes(gateUp, 0));
        up.set.scalesStride(gateUpScales?.strides[1] ?? 0);
        up.set.scalesExpertStride(gateUpScales?.strides[0] ?? 0);
        up.enqueue(call, grids.up);

        down.set.x(workspace + places.activations);
        down.set.weight(context.address(args.down));
        down.set.scales(context.address(downScales));
        down.set.out(workspace + places.parts);
        down.set.columns(hidden);
        down.set.depth(width);
        down.set.pairsPerRow(1);
        down.set.xStride(width * 4);
        down.set.weightStride(strideBytes(args.down, 1));
        down.set.expertStride(strideBytes(args.down, 0));
        down.set.scalesStride(downScales?.strides[1] ?? 0);
        down.set.scalesExpertStride(downScales?.strides[0] ?? 0);
        down.enqueue(call, grids.down);

        combine.set.ids(ids);
        combine.set.weights(factors);
        combine.set.parts(workspace + places.parts);
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
} satisfies CudaKernel<ExpertMlpArgs, ExpertProblem, ExpertPlan>;
