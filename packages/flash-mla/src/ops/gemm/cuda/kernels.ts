import {
  type CudaKernel,
  defineCudaKernel,
  type KernelSpec,
} from '../../../runtime/cuda/kernel.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { layoutKey, layoutOf } from '../../kernel-lib/cuda/rows/problem.ts';
import { type GemmArgs, gemmOperation } from '../operation.ts';
import type { GemmConfig, GemmParams } from './config.ts';
import { type GemmPlan, type GemmProblem, problemOf, setGemm } from './problem.ts';
import { fewRowsGemm } from './sm80_few_rows_gemm_launch.ts';
import { buildMmaGemm, buildTransposedMmaGemm, mmaGrid } from './sm80_mma_gemm.ts';
import { buildStreamGemm, streamGrid } from './sm80_stream_gemm.ts';
import { buildTransposedGemm, transposedGrid } from './sm80_transposed_gemm.ts';

/** How one kernel computes products. */
interface Variant {
  /** Whether it may start before the kernel ahead of it has ended. */
  readonly overlap?: boolean;
  readonly spec: KernelSpec<GemmConfig, GemmParams>;
  accepts(problem: GemmProblem): boolean;
  /** Rows of a tile: one of a few, so that few kernels are compiled. */
  rowTile(problem: GemmProblem): number;
  grid(
    rowTile: number,
    rows: number,
    columns: number,
    batch: number,
  ): readonly [number, number, number];
}

const powerOfTwo = (rows: number, most: number) =>
  Math.min(most, 2 ** Math.ceil(Math.log2(Math.max(1, rows))));

/** Rows from which tensor cores are faster than streaming weights again and again. */
const manyRows = 9;

/** Rows of a tile on tensor cores. */
function mmaRows({ rows }: GemmProblem): number {
  return rows <= 16 ? 16 : rows <= 64 ? 64 : 128;
}

function variant({ spec, accepts, rowTile, grid, overlap = false }: Variant) {
  const configOf = (problem: GemmProblem): GemmConfig => {
    const { x, weight, bias, residual, out, depth, columns, transposed } = problem;
    return {
      ...{ x: layoutOf<RowDType>(x), weight: layoutOf(weight), bias, residual, out },
      ...{ rowTile: rowTile(problem), wholeUnits: (transposed ? columns : depth) % 8 === 0 },
    };
  };
  const gridOf = (problem: GemmProblem) => {
    const { rows, columns, batch } = problem;
    return grid(rowTile(problem), rows, columns, batch);
  };
  return {
    operation: gemmOperation,
    problemOf,
    accepts: (problem) =>
      accepts(problem) &&
      gridOf(problem)
        .slice(1)
        .every((n) => n < 65_536),
    keyOf(problem) {
      const { x, weight, ...others } = configOf(problem);
      return { ...others, x: layoutKey(x), weight: layoutKey(weight) };
    },
    plan: (problem) => ({
      launches: {
        main: { kernel: spec, config: configOf(problem), grid: gridOf(problem), overlap },
      },
      workspaceBytes: 0,
    }),
    bind(context, { launches }) {
      const main = context.prepare(launches.main);
      return (args, problem, call) => {
        setGemm(context, main.set, args, problem);
        main.enqueue(call, gridOf(problem));
      };
    },
  } satisfies CudaKernel<GemmArgs, GemmProblem, GemmPlan>;
}

/** Many rows of bf16 on tensor cores. */
export const mmaGemm = variant({
  spec: { name: 'sm80_mma_gemm', build: buildMmaGemm },
  overlap: true,
  accepts: ({ rows, transposed, x, weight, depth }) =>
    rows >= manyRows &&
    !transposed &&
    x.dtype === 'bf16' &&
    weight.dtype !== 'f32' &&
    depth % 8 === 0 &&
    x.alignment === 16 &&
    weight.alignment >= (weight.dtype === 'e4m3' ? 8 : 16),
  rowTile: mmaRows,
  grid: mmaGrid,
});

/** bf16 weights whose rows are what is summed over, on tensor cores. */
export const transposedMmaGemm = variant({
  spec: { name: 'sm80_transposed_mma_gemm', build: buildTransposedMmaGemm },
  overlap: true,
  accepts: ({ transposed, x, weight, depth, columns }) =>
    transposed &&
    x.dtype === 'bf16' &&
    weight.dtype === 'bf16' &&
    depth % 8 === 0 &&
    columns % 8 === 0 &&
    Math.min(x.alignment, weight.alignment) === 16,
  rowTile: mmaRows,
  grid: mmaGrid,
});

/** Few rows, and what tensor cores do not take. */
export const streamGemm = variant({
  spec: { name: 'sm80_stream_gemm', build: buildStreamGemm },
  accepts: ({ transposed }) => !transposed,
  // Eight rows of what takes many registers to load would not fit them.
  rowTile: ({ rows, x, weight, depth }) => {
    const isPlain = x.dtype === 'bf16' && weight.dtype === 'bf16' && depth % 8 === 0;
    return powerOfTwo(rows, isPlain && Math.min(x.alignment, weight.alignment) === 16 ? 8 : 4);
  },
  grid: streamGrid,
});

/** Weights whose rows are what is summed over, in other dtypes and alignments. */
export const transposedGemm = variant({
  spec: { name: 'sm80_transposed_gemm', build: buildTransposedGemm },
  accepts: ({ transposed }) => transposed,
  rowTile: ({ rows }) => powerOfTwo(rows, 4),
  grid: transposedGrid,
});

/** Products on every GPU from Ampere on, in the order of preference. */
export const gemmCudaKernels = [
  defineCudaKernel(fewRowsGemm),
  defineCudaKernel(mmaGemm),
  defineCudaKernel(streamGemm),
  defineCudaKernel(transposedMmaGemm),
  defineCudaKernel(transposedGemm),
];
