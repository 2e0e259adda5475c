/** What every way of computing experts does: pairs are sorted by experts before, results combined behind. */

import type {
  BindContext,
  Call,
  KernelSpec,
  LaunchPlan,
  ParamSetters,
} from '../../../runtime/cuda/kernel.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { mapGrid } from '../../kernel-lib/cuda/rows/map.ts';
import {
  layoutOf,
  type RowsProblem,
  rowsOf,
  strideBytes,
} from '../../kernel-lib/cuda/rows/problem.ts';
import type { ExpertMlpArgs } from '../operation.ts';
import {
  buildCombineExperts,
  type CombineConfig,
  type CombineParams,
} from './sm80_combine_experts.ts';
import type { ProductParams } from './sm80_expert_products.ts';
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

export function expertProblem(args: ExpertMlpArgs): ExpertProblem {
  const { x, experts, gateUp, down, residual, out } = args;
  return {
    ...{ rows: x.shape[0] ?? 0, topK: experts.shape[1] ?? 0, experts: gateUp.shape[0] ?? 0 },
    ...{ hidden: x.shape[1] ?? 0, width: down.shape[2] ?? 0 },
    ...{ x: rowsOf(x), gateUp: rowsOf(gateUp), down: rowsOf(down), out: rowsOf(out) },
    residual: residual && rowsOf(residual),
  };
}

export const sortSpec: KernelSpec<SortConfig, SortParams> = {
  name: 'sm80_sort_pairs',
  build: buildSortPairs,
};

export const combineSpec: KernelSpec<CombineConfig, CombineParams> = {
  name: 'sm80_combine_experts',
  build: buildCombineExperts,
};

/** The launches around the products. */
export type PairLaunches = {
  readonly sort: LaunchPlan<SortConfig, SortParams>;
  readonly combine: LaunchPlan<CombineConfig, CombineParams>;
};

export function combineConfigOf(problem: ExpertProblem): CombineConfig {
  const { topK, experts, hidden, residual, out } = problem;
  return {
    ...{ columns: hidden, topK, experts, out: layoutOf<RowDType>(out) },
    residual: residual && layoutOf<RowDType>(residual),
  };
}

/** The most tiles that pairs fill: the last one of an expert may hold fewer than all others. */
export function mostTiles(experts: number, pairs: number, pairsOfTile: number): number {
  return Math.min(pairs, experts + Math.floor(pairs / pairsOfTile));
}

/** Bytes of the lists that sorting fills; see {@link SortParams}. */
export function listBytes(pairs: number, tiles: number) {
  return { order: pairs * 4, tileList: tiles * tileWords * 4, numTiles: 8 };
}

/** Where the parts of a workspace begin, one behind the other, and the bytes of all. */
export function layOut<Part extends string>(bytes: Readonly<Record<Part, number>>) {
  const places = {} as Record<Part, number>;
  let workspaceBytes = 0;
  for (const part in bytes) {
    places[part] = workspaceBytes;
    workspaceBytes += Math.ceil(bytes[part] / 256) * 256;
  }
  return { places, workspaceBytes };
}

/** Some rows of a call, and where in the workspace the lists of their pairs are. */
export interface SomeRows {
  readonly first: number;
  readonly count: number;
  readonly workspace: number;
  readonly places: Readonly<Record<keyof ReturnType<typeof listBytes>, number>>;
}

/** Addresses of the lists of the pairs of some rows: what products read. */
export interface PairLists {
  readonly order: number;
  readonly tiles: number;
  readonly numTiles: number;
}

type ListSetters = Pick<ParamSetters<ProductParams>, keyof PairLists>;

export function setLists({ set }: { readonly set: ListSetters }, lists: PairLists): void {
  set.order(lists.order);
  set.tiles(lists.tiles);
  set.numTiles(lists.numTiles);
}

type WeightSetters = Pick<
  ParamSetters<ProductParams>,
  'weight' | 'scales' | 'weightStride' | 'expertStride' | 'scalesStride' | 'scalesExpertStride'
>;

/** @param weight (experts, rows, depth); its scales (experts, rows). */
export function setWeights(
  set: WeightSetters,
  context: BindContext,
  weight: TensorView,
  scales: TensorView | undefined,
): void {
  set.weight(context.address(weight));
  set.weightStride(strideBytes(weight, 1));
  set.expertStride(strideBytes(weight, 0));
  set.scales(context.address(scales));
  set.scalesStride(scales?.strides[1] ?? 0);
  set.scalesExpertStride(scales?.strides[0] ?? 0);
}

/** Compiles the launches around the products. */
export function bindPairs(context: BindContext, launches: PairLaunches) {
  const sort = context.prepare(launches.sort);
  const combine = context.prepare(launches.combine);
  /** Of the first of some rows: ids and weights have no gaps. */
  const first = (view: TensorView, rows: SomeRows) =>
    context.address(view) + rows.first * (view.shape[1] ?? 0) * 4;
  return {
    sort({ experts }: ExpertMlpArgs, rows: SomeRows, call: Call): PairLists {
      const { workspace, places } = rows;
      const lists = {
        order: workspace + places.order,
        tiles: workspace + places.tileList,
        numTiles: workspace + places.numTiles,
      };
      sort.set.ids(first(experts, rows));
      sort.set.count(rows.count * (experts.shape[1] ?? 0));
      setLists(sort, lists);
      sort.enqueue(call, [1, 1, 1]);
      return lists;
    },

    /** @param results The address of the products' results, f32 (pairs, columns). */
    combine(args: ExpertMlpArgs, rows: SomeRows, results: number, call: Call): void {
      const { experts, weights, residual, out } = args;
      const { set } = combine;
      set.ids(first(experts, rows));
      set.weights(first(weights, rows));
      set.parts(results);
      set.residual(residual ? context.address(residual) + rows.first * strideBytes(residual) : 0);
      set.out(context.address(out) + rows.first * strideBytes(out));
      set.residualStride(strideBytes(residual));
      set.outStride(strideBytes(out));
      combine.enqueue(call, mapGrid(rows.count, out.shape[1] ?? 0));
    },
  };
}
