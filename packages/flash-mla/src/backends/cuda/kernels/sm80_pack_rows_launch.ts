import type { DequantizeArgs, QuantizeArgs, TensorView } from '../../backend.ts';
import type {
  BindContext,
  FamilyOperation,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../kernel-family.ts';
import type { PackRowsProblem } from '../problems.ts';
import { asAlignment } from './mla/copy.ts';
import { type PackRowsConfig, type PackRowsParams, packRowsCtas } from './packed/token.ts';
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
export const quantizeKvCache: FamilyOperation<PackRowsProblem, QuantizeArgs> = {
  plan: (problem) => planRows(quantizeSpec, problem),
  bind(context, plan, problem) {
    const run = bindRows(context, plan as PackRowsPlan, problem);
    return ({ source, target }) => run(target, source);
  },
};

/** FP8 rows → bf16 rows. */
export const dequantizeKvCache: FamilyOperation<PackRowsProblem, DequantizeArgs> = {
  plan: (problem) => planRows(dequantizeSpec, problem),
  bind(context, plan, problem) {
    const run = bindRows(context, plan as PackRowsPlan, problem);
    return ({ source, target }) => run(source, target);
  },
};

function planRows(kernel: PackRowsSpec, problem: PackRowsProblem): PackRowsPlan {
  const { layout, numBlocks, pageSize, packed, rows } = problem;
  const config: PackRowsConfig = {
    layout,
    packedAlignment: asAlignment(packed.alignment),
    rowAlignment: asAlignment(rows.alignment),
  };
  const grid = [packRowsCtas(numBlocks * pageSize), 1, 1] as const;
  return { launches: { main: { kernel, config, grid } }, workspaceBytes: 0 };
}

function bindRows(
  context: BindContext,
  { launches }: PackRowsPlan,
  { numBlocks, pageSize, packed }: PackRowsProblem,
): (packedRows: TensorView, rows: TensorView) => void {
  const [blockStride = 0, rowStride = 0] = packed.strides;
  const main = context.prepare(launches.main, {
    packed: 0,
    rows: 0,
    tokens: numBlocks * pageSize,
    pageSize,
    blockStride,
    rowStride,
  });
  const packedAddress = main.setter('packed');
  const rowsAddress = main.setter('rows');
  return (packedRows, rows) => {
    packedAddress(context.address(packedRows));
    rowsAddress(context.address(rows));
    main.enqueue();
  };
}
