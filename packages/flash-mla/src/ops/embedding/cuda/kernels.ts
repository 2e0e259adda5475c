import {
  type CudaKernel,
  defineCudaKernel,
  type KernelSpec,
  type LaunchPlan,
  type OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import { mapGrid } from '../../kernel-lib/cuda/rows/map.ts';
import {
  layoutKey,
  layoutOf,
  type RowsProblem,
  rowsOf,
  strideBytes,
} from '../../kernel-lib/cuda/rows/problem.ts';
import { type EmbeddingArgs, embeddingOperation } from '../operation.ts';
import { buildEmbedding, type EmbeddingConfig, type EmbeddingParams } from './sm80_embedding.ts';

/** What kernel selection sees of a call. */
export interface EmbeddingProblem {
  readonly rows: number;
  readonly entries: number;
  readonly columns: number;
  readonly table: RowsProblem;
  readonly out: RowsProblem;
}

const spec: KernelSpec<EmbeddingConfig, EmbeddingParams> = {
  name: 'sm80_embedding',
  build: buildEmbedding,
};

interface EmbeddingPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<EmbeddingConfig, EmbeddingParams> };
}

const configOf = ({ columns, table, out }: EmbeddingProblem): EmbeddingConfig => ({
  ...{ columns, table: layoutOf(table), out: layoutOf(out) },
});

/** Rows of a table on every GPU. */
export const portableEmbedding = {
  operation: embeddingOperation,
  problemOf: ({ table, out }) => ({
    ...{ rows: out.shape[0] ?? 0, entries: table.shape[0] ?? 0, columns: out.shape[1] ?? 0 },
    ...{ table: rowsOf(table), out: rowsOf(out) },
  }),
  keyOf(problem) {
    const { columns, table, out } = configOf(problem);
    return { columns, table: layoutKey(table), out: layoutKey(out) };
  },
  plan: (problem) => ({
    launches: {
      main: {
        ...{ kernel: spec, config: configOf(problem) },
        ...{ grid: mapGrid(problem.rows, problem.columns), overlap: true },
      },
    },
    workspaceBytes: 0,
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, { rows, entries, columns }, call) => {
      set.table(context.address(args.table));
      set.ids(context.address(args.ids));
      set.out(context.address(args.out));
      set.entries(entries);
      set.tableStride(strideBytes(args.table));
      set.outStride(strideBytes(args.out));
      set.scale(args.scale);
      main.enqueue(call, mapGrid(rows, columns));
    };
  },
} satisfies CudaKernel<EmbeddingArgs, EmbeddingProblem, EmbeddingPlan>;

export const embeddingCudaKernels = [defineCudaKernel(portableEmbedding)];
