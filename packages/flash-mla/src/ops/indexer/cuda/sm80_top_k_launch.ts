import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
  PreparedLaunch,
} from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import { type IndexTopKArgs, indexTopKOperation } from '../operations.ts';
import {
  buildTopKHistogram,
  buildTopKPartition,
  type TopKPartConfig,
  type TopKPartParams,
} from './sm80_top_k_partition.ts';
import {
  buildTopKSelect,
  type TopKSelectConfig,
  type TopKSelectParams,
} from './sm80_top_k_select.ts';
import { numBins } from './top-k-parts.ts';

/** What kernel selection sees of a call. */
export interface TopKKernelProblem {
  readonly rows: number;
  readonly columns: number;
  readonly topK: number;
  readonly hasStarts: boolean;
  readonly mapped: boolean;
}

/** A CTA chooses of a row that is no longer. */
const longestOfOneCta = 16_384;
/** Parts of a row at most, and columns that may be listed: a longer list is not used. */
const [mostParts, listLength] = [16, 8192];
/** Rows of a launch, which bounds the scratch memory. */
const rowsOfLaunch = 512;

const histogram: KernelSpec<TopKPartConfig, TopKPartParams> = {
  name: 'sm80_top_k_histogram',
  build: buildTopKHistogram,
};
const partition: KernelSpec<TopKPartConfig, TopKPartParams> = {
  name: 'sm80_top_k_partition',
  build: buildTopKPartition,
};
const select: KernelSpec<TopKSelectConfig, TopKSelectParams> = {
  name: 'sm80_top_k_select',
  build: buildTopKSelect,
};

type Launches = {
  readonly select: LaunchPlan<TopKSelectConfig, TopKSelectParams>;
  readonly histogram?: LaunchPlan<TopKPartConfig, TopKPartParams>;
  readonly partition?: LaunchPlan<TopKPartConfig, TopKPartParams>;
};

interface TopKPlan extends OperationPlan {
  readonly launches: Readonly<Record<string, LaunchPlan>> & Launches;
}

const isLong = ({ columns }: TopKKernelProblem) => columns > longestOfOneCta;

/** How rows are cut; scratch memory in bytes. */
export function partsOf({ rows, columns, topK }: TopKKernelProblem, { smCount }: DeviceLimits) {
  const some = Math.min(rows, rowsOfLaunch);
  const wanted = Math.max(1, Math.min(mostParts, Math.floor(smCount / some)));
  const partLength = Math.ceil(columns / wanted / 1024) * 1024;
  const parts = Math.ceil(columns / partLength);
  const sizes = { histograms: parts * numBins, above: topK, list: listLength, info: 4 };
  let bytes = 0;
  const offsets = Object.fromEntries(
    Object.entries(sizes).map(([name, words]) => {
      const offset = bytes;
      bytes += Math.ceil((some * words * 4) / 256) * 256;
      return [name, offset];
    }),
  ) as Record<keyof typeof sizes, number>;
  return { some, parts, partLength, offsets, bytes };
}

/** The k largest of each row on every GPU. */
export const portableTopK = {
  operation: indexTopKOperation,
  problemOf({ logits, indices, starts, blockTable }) {
    const [rows = 0, columns = 0] = logits.shape;
    const [hasStarts, mapped] = [starts !== undefined, blockTable !== undefined];
    return { rows, columns, topK: indices.shape[1] ?? 0, hasStarts, mapped };
  },
  keyOf(problem) {
    const { topK, hasStarts, mapped } = problem;
    return { topK, hasStarts, mapped, listed: isLong(problem) };
  },
  plan(problem, limits): TopKPlan {
    const { topK, hasStarts, mapped } = problem;
    const listed = isLong(problem);
    const { some, parts, bytes } = partsOf(problem, limits);
    const last = {
      kernel: select,
      config: { topK, hasStarts, mapped, listed },
      grid: [some, 1, 1] as const,
    };
    if (!listed) return { launches: { select: last }, workspaceBytes: 0 };
    const config = { topK, hasStarts };
    const shape = { config, grid: [parts, some, 1] as const };
    const launches = {
      histogram: { kernel: histogram, ...shape },
      partition: { kernel: partition, ...shape },
      select: last,
    };
    return { launches, workspaceBytes: bytes };
  },
  bind(context, { launches }) {
    const last = context.prepare(launches.select);
    const firsts = [launches.histogram, launches.partition].flatMap((launch) =>
      launch ? [context.prepare(launch)] : [],
    );
    return (args, problem, call) => {
      const { logits, starts, ends, blockTable, indices } = args;
      const { some, parts, partLength, offsets, bytes } = partsOf(problem, context.limits);
      const listed = firsts.length > 0;
      const workspace = listed ? call.workspace(bytes) : 0;
      const stride = logits.strides[0] ?? 0;
      for (let row = 0; row < problem.rows; row += some) {
        const rows = Math.min(some, problem.rows - row);
        const setCommon = ({ set }: PreparedLaunch<TopKPartParams | TopKSelectParams>) => {
          set.logits(context.address(logits) + row * stride * 4);
          set.starts(starts ? context.address(starts) + row * 4 : 0);
          set.ends(context.address(ends) + row * 4);
          set.columns(problem.columns);
          set.stride(stride);
          set.above(workspace + offsets.above);
          set.list(workspace + offsets.list);
          set.listLength(listLength);
          set.info(workspace + offsets.info);
        };
        for (const launch of firsts) {
          setCommon(launch as unknown as PreparedLaunch<TopKPartParams | TopKSelectParams>);
          launch.set.histograms(workspace + offsets.histograms);
          launch.set.partLength(partLength);
          launch.enqueue(call, [parts, rows, 1]);
        }
        setCommon(last as unknown as PreparedLaunch<TopKPartParams | TopKSelectParams>);
        last.set.blockTable(context.address(blockTable));
        last.set.tableWidth(blockTable?.shape[1] ?? 0);
        last.set.tableStride(blockTable?.strides[0] ?? 0);
        last.set.pageSize(args.pageSize);
        last.set.queriesPerRequest(args.queriesPerRequest);
        last.set.firstRow(row);
        last.set.indices(context.address(indices) + row * problem.topK * 4);
        last.enqueue(call, [rows, 1, 1]);
      }
    };
  },
} satisfies CudaKernel<IndexTopKArgs, TopKKernelProblem, TopKPlan>;
