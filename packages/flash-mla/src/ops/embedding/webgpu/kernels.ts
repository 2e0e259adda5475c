import { defineWebGpuKernel } from '../../../runtime/webgpu/kernel.ts';
import { type BoundTensor, bindAll } from '../../../runtime/webgpu/launch/bind-all.ts';
import { eachRows, hasWholeWords, resourcesOf } from '../../../runtime/webgpu/launch/rows.ts';
import { positionsPerBinding, slicePositions } from '../../../runtime/webgpu/launch/slices.ts';
import { flatGrid, type LaunchTarget } from '../../../runtime/webgpu/runtime/runtime.ts';
import { strideOf } from '../../../runtime/webgpu/runtime/views.ts';
import { rowKernel } from '../../../runtime/webgpu/wgsl/row-kernel.ts';
import type { RowDType } from '../../../runtime/webgpu/wgsl/rows.ts';
import { type EmbeddingArgs, embeddingOperation } from '../operation.ts';

/**
 * Entries that are not among those bound are left to the launch that binds them; the last one writes
 * the zeros of ids outside the table.
 */
const kernelOf = (table: RowDType, out: RowDType, wholeWords: boolean) =>
  rowKernel({
    name: `embedding ${table} to ${out}`,
    params: {
      ...{ tableStart: 'u32', tableStride: 'u32', idsStart: 'u32' },
      ...{ firstEntry: 'u32', boundEntries: 'u32', entries: 'u32', scale: 'f32' },
    },
    ...{ reads: { table }, out, wholeWords },
    storage: [{ name: 'ids', access: 'read', element: 'u32' }],
    setup: `
      let id = ids[params.idsStart + row];
      let entry = id - params.firstEntry;
      let bound = entry < params.boundEntries;
      let isLast = params.firstEntry + params.boundEntries == params.entries;
      if (!bound && !(isLast && id >= params.entries)) { return; }
      let entryRow = params.tableStart + select(0u, entry, bound) * params.tableStride;`,
    value: (column) => `select(0.0, readTable(entryRow + ${column}) * params.scale, bound)`,
  });

/** The table in as many parts as fit a binding; of each, the rows that name its entries. */
function launchEmbedding(runtime: LaunchTarget, { table, ids, scale, out }: EmbeddingArgs): void {
  const entries = table.shape[0] as number;
  const most = positionsPerBinding(runtime, table);
  eachRows(runtime, { ids, out }, (part) => {
    for (let first = 0; first < entries; first += most) {
      const end = Math.min(entries, first + most);
      const args = { ...part, scale, table: slicePositions(table, first, end) };
      const reads = { table: args.table, ids: args.ids };
      bindAll(runtime, { reads, writes: { out: args.out } }, (bound) =>
        dispatch(runtime, args, { first, entries }, bound),
      );
    }
  });
}

function dispatch(
  runtime: LaunchTarget,
  { table, ids, scale, out }: EmbeddingArgs,
  { first, entries }: { readonly first: number; readonly entries: number },
  bound: Readonly<Record<string, BoundTensor>>,
): void {
  const [rows, columns] = out.shape as [number, number];
  const wholeWords = hasWholeWords(out, bound.out, columns);
  const config = { table: table.dtype as RowDType, out: out.dtype as RowDType, wholeWords };
  runtime.dispatch({
    name: `embedding ${Object.values(config).join(' ')}`,
    ...{ source: () => kernelOf(config.table, config.out, wholeWords), config },
    params: {
      ...{ rows, columns, scale, entries },
      ...{ firstEntry: first, boundEntries: table.shape[0] as number },
      ...{ tableStart: bound.table?.start ?? 0, tableStride: strideOf(table, 0) },
      ...{ idsStart: bound.ids?.start ?? 0 },
      ...{ outStart: bound.out?.start ?? 0, outStride: strideOf(out, 0) },
    },
    storage: resourcesOf(bound),
    workgroups: flatGrid(ids.shape[0] as number, runtime.capabilities.workgroupsPerDimension),
  });
}

export const embeddingWebGpuKernels = [
  defineWebGpuKernel({ operation: embeddingOperation, launch: launchEmbedding }),
];
