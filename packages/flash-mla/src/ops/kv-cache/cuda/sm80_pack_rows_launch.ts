import type {
  BindContext,
  Call,
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { asAlignment } from '../../kernel-lib/cuda/sm80/copy.ts';
import type { DequantizeArgs, QuantizeArgs } from '../contract.ts';
import { dequantizeRows, quantizeRows } from '../operations.ts';
import { type PackRowsConfig, type PackRowsParams, packRowsCtas } from './packed/token.ts';
import { dequantizeProblem, quantizeProblem } from './problem-of.ts';
import type { PackRowsProblem } from './problems.ts';
import { buildDequantizeKvCache } from './sm80_dequantize_kv_cache.ts';
import { buildQuantizeKvCache } from './sm80_quantize_kv_cache.ts';

type PackRowsSpec = KernelSpec<PackRowsConfig, PackRowsParams>;

export const quantizeSpec: PackRowsSpec = {
  name: 'sm80_quantize_kv_cache',
  build: buildQuantizeKvCache,
};

export const dequantizeSpec: PackRowsSpec = {
  name: 'sm80_dequantize_kv_cache',
  build: buildDequantizeKvCache,
};

interface PackRowsPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<PackRowsConfig, PackRowsParams> };
}

/** bf16 rows → FP8 rows. */
export const portableQuantize = {
  operation: quantizeRows,
  problemOf: quantizeProblem,
  keyOf,
  plan: (problem) => planRows(quantizeSpec, problem),
  bind(context, plan) {
    const run = bindRows(context, plan);
    return ({ source, target }, problem, call) => run(target, source, problem, call);
  },
} satisfies CudaKernel<QuantizeArgs, PackRowsProblem, PackRowsPlan>;

/** FP8 rows → bf16 rows. */
export const portableDequantize = {
  operation: dequantizeRows,
  problemOf: dequantizeProblem,
  keyOf,
  plan: (problem) => planRows(dequantizeSpec, problem),
  bind(context, plan) {
    const run = bindRows(context, plan);
    return ({ source, target }, problem, call) => run(source, target, problem, call);
  },
} satisfies CudaKernel<DequantizeArgs, PackRowsProblem, PackRowsPlan>;

function keyOf({ layout, packed, rows }: PackRowsProblem) {
  return { layout, packedAlignment: packed.alignment, rowAlignment: rows.alignment };
}

const gridOf = ({ numBlocks, pageSize }: PackRowsProblem) =>
  [packRowsCtas(numBlocks * pageSize), 1, 1] as const;

function planRows(kernel: PackRowsSpec, problem: PackRowsProblem): PackRowsPlan {
  const { layout, packed, rows } = problem;
  const config: PackRowsConfig = {
    layout,
    packedAlignment: asAlignment(packed.alignment),
    rowAlignment: asAlignment(rows.alignment),
  };
  return { launches: { main: { kernel, config, grid: gridOf(problem) } }, workspaceBytes: 0 };
}

function bindRows(context: BindContext, { launches }: PackRowsPlan) {
  const main = context.prepare(launches.main);
  const { set } = main;
  return (packed: TensorView, rows: TensorView, problem: PackRowsProblem, call: Call): void => {
    const [blockStride = 0, rowStride = 0] = problem.packed.strides;
    set.packed(context.address(packed));
    set.rows(context.address(rows));
    set.tokens(problem.numBlocks * problem.pageSize);
    set.pageSize(problem.pageSize);
    set.blockStride(blockStride);
    set.rowStride(rowStride);
    main.enqueue(call, gridOf(problem));
  };
}
