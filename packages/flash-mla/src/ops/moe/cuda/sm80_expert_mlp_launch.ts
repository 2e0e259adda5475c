import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { RowDType, RowLayout } from '../../kernel-lib/cuda/rows/columns.ts';
import { mapGrid } from '../../kernel-lib/cuda/rows/map.ts';
import { layoutKey, layoutOf, strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
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
import {
  buildExpertDown,
  buildExpertUp,
  downColumns,
  type ProductConfig,
  type ProductParams,
  upColumns,
} from './sm80_expert_products.ts';

const specs = {
  up: { name: 'sm80_expert_up', build: buildExpertUp },
  down: { name: 'sm80_expert_down', build: buildExpertDown },
} satisfies Record<string, KernelSpec<ProductConfig, ProductParams>>;

type ProductLaunch = LaunchPlan<ProductConfig, ProductParams>;

interface ExpertPlan extends OperationPlan {
  readonly launches: PairLaunches & { readonly up: ProductLaunch; readonly down: ProductLaunch };
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
  const { experts, hidden, width } = problem;
  const rowTile = rowTileOf(problem);
  const activations: RowLayout<RowDType> = { dtype: 'f32', alignment: width % 4 === 0 ? 16 : 4 };
  const [gateUp, down] = [layoutOf(problem.gateUp), layoutOf(problem.down)];
  return {
    sort: { experts, rowTile },
    up: { x: layoutOf<RowDType>(problem.x), weight: gateUp, rowTile, wholeUnits: hidden % 8 === 0 },
    down: { x: activations, weight: down, rowTile, wholeUnits: width % 8 === 0 },
    combine: combineConfigOf(problem),
  };
}

/** Launch sizes and the parts of the workspace, in bytes, for some rows. */
function sizesOf({ topK, experts, hidden, width }: ExpertProblem, rowTile: number, rows: number) {
  const pairs = rows * topK;
  const tiles = mostTiles(experts, pairs, rowTile);
  return {
    ...layOut({
      activations: pairs * width * 4,
      results: pairs * hidden * 4,
      ...listBytes(pairs, tiles),
    }),
    grids: {
      up: [Math.ceil(width / upColumns), tiles, 1],
      down: [Math.ceil(hidden / downColumns), tiles, 1],
    },
  } as const;
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
        sort: { kernel: sortSpec, config: configs.sort, grid: [1, 1, 1] },
        up: { kernel: specs.up, config: configs.up, grid: grids.up },
        down: { kernel: specs.down, config: configs.down, grid: grids.down },
        combine: {
          ...{ kernel: combineSpec, config: configs.combine, grid: mapGrid(rows, problem.hidden) },
        },
      },
      workspaceBytes,
    };
  },
  bind(context, { launches }) {
    const pairs = bindPairs(context, launches);
    const up = context.prepare(launches.up);
    const down = context.prepare(launches.down);
    const { rowTile } = launches.sort.config;
    return (args, problem, call) => {
      const { x, gateUp, gateUpScales, downScales } = args;
      const { rows, topK, hidden, width } = problem;
      const most = rowsAtOnce(problem);
      const { workspaceBytes } = sizesOf(problem, rowTile, most);
      const workspace = call.workspace(workspaceBytes);
      setWeights(up.set, context, gateUp, gateUpScales);
      setWeights(down.set, context, args.down, downScales);
      for (let first = 0; first < rows; first += most) {
        const count = Math.min(most, rows - first);
        const { grids, places } = sizesOf(problem, rowTile, count);
        const some = { first, count, workspace, places };
        const lists = pairs.sort(args, some, call);

        setLists(up, lists);
        up.set.x(context.address(x) + first * strideBytes(x));
        up.set.xStride(strideBytes(x));
        up.set.pairsPerRow(topK);
        up.set.depth(hidden);
        up.set.columns(width);
        up.set.out(workspace + places.activations);
        up.enqueue(call, grids.up);

        setLists(down, lists);
        down.set.x(workspace + places.activations);
        down.set.xStride(width * 4);
        down.set.pairsPerRow(1);
        down.set.depth(width);
        down.set.columns(hidden);
        down.set.out(workspace + places.results);
        down.enqueue(call, grids.down);

        pairs.combine(args, some, workspace + places.results, call);
      }
    };
  },
} satisfies CudaKernel<ExpertMlpArgs, ExpertProblem, ExpertPlan>;
