import { dtypeSize } from '../../../tensor/dtype.ts';
import type { AppendArgs, TensorView } from '../../backend.ts';
import type { FamilyOperation, KernelSpec, LaunchPlan, OperationPlan } from '../kernel-family.ts';
import type { AppendProblem } from '../problems.ts';
import { type AppendConfig, type AppendParams, appendCtas } from './append/config.ts';
import { asAlignment } from './mla/copy.ts';
import { buildAppendKvCache } from './sm80_append_kv_cache.ts';

export const appendSpec: KernelSpec<AppendConfig, AppendParams> = {
  name: 'sm80_append_kv_cache',
  build: buildAppendKvCache,
};

interface AppendPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<AppendConfig, AppendParams> };
}

/** Rows → the tokens of a paged cache that slots name. */
export const appendKvCache: FamilyOperation<AppendProblem, AppendArgs, AppendPlan> = {
  plan(problem) {
    const { layout, columns, numHeads, slotBytes, mostRows, rows, kCache } = problem;
    const config: AppendConfig = {
      layout,
      rowBytes: columns * dtypeSize(problem.rowDtype),
      numHeads,
      slotBytes,
      cacheAlignment: asAlignment(kCache.alignment),
      rowAlignment: asAlignment(rows.alignment),
    };
    const grid = [appendCtas(mostRows * numHeads), 1, 1] as const;
    return { launches: { main: { kernel: appendSpec, config, grid } }, workspaceBytes: 0 };
  },
  bind(context, { launches }, problem) {
    const { layout, numHeads, numBlocks, pageSize, rows, kCache } = problem;
    const rowBytes = dtypeSize(problem.rowDtype);
    const cacheBytes = layout === 'plain' ? rowBytes : 1;
    const [blockStride = 0, tokenStride = 0, headStride = 0] = kCache.strides;
    const [rowStride = 0, rowHeadStride = 0] = rows.strides;
    const main = context.prepare(launches.main, {
      cache: 0,
      rows: 0,
      slots: 0,
      count: 0,
      pageSize,
      capacity: numBlocks * pageSize,
      blockStride: blockStride * cacheBytes,
      tokenStride: tokenStride * cacheBytes,
      headStride: headStride * cacheBytes,
      rowStride: rowStride * rowBytes,
      rowHeadStride: rowHeadStride * rowBytes,
    });
    const set = (name: 'cache' | 'rows' | 'slots') => {
      const setter = main.setter(name);
      return (view: TensorView) => setter(context.address(view));
    };
    const [cacheAddress, rowsAddress, slotsAddress] = [set('cache'), set('rows'), set('slots')];
    const count = main.setter('count');
    return (args) => {
      cacheAddress(args.kCache);
      rowsAddress(args.rows);
      slotsAddress(args.slots);
      count((args.rows.shape[0] as number) * numHeads);
      main.enqueue();
    };
  },
};
