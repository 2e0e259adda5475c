import { defineWebGpuKernel } from '../../../runtime/webgpu/kernel.ts';
import { bindAll } from '../../../runtime/webgpu/launch/bind-all.ts';
import { eachRows, resourcesOf } from '../../../runtime/webgpu/launch/rows.ts';
import { positionsPerBinding, slicePositions } from '../../../runtime/webgpu/launch/slices.ts';
import { flatGrid, type LaunchTarget } from '../../../runtime/webgpu/runtime/runtime.ts';
import { strideOf } from '../../../runtime/webgpu/runtime/views.ts';
import type { RowDType } from '../../../runtime/webgpu/wgsl/rows.ts';
import { indexDim } from '../limits.ts';
import {
  type IndexRowsArgs,
  type IndexTopKArgs,
  indexRowsOperation,
  indexTopKOperation,
  type MqaLogitsArgs,
  mqaLogitsOperation,
} from '../operations.ts';
import { type IndexRowsConfig, indexRowsKernel } from './index-rows-kernel.ts';
import { indexTopKKernel } from './index-top-k-kernel.ts';
import { logitsColumns, mqaLogitsKernel } from './mqa-logits-kernel.ts';

type Bound = Parameters<Parameters<typeof bindAll>[2]>[0];
const startIn = (bound: Bound) => (name: string) => bound[name]?.start ?? 0;

/** Caches in as many parts as fit a binding; keys whose pages are in another part are left to it. */
function launchIndexRows(runtime: LaunchTarget, args: IndexRowsArgs): void {
  const { target } = args;
  if (target.kind === 'queries') {
    const { weights, out, outWeights } = target;
    const views = { x: args.x, positions: args.positions, weights, out, outWeights };
    eachRows(runtime, views, ({ x, positions, ...part }) =>
      dispatchRows(runtime, { ...args, x, positions, target: { kind: 'queries', ...part } }, 0),
    );
    return;
  }
  const { cache } = target;
  const [pages = 0, pageSize = 1] = cache.shape;
  const most = positionsPerBinding(runtime, cache);
  for (let first = 0; first < pages; first += most) {
    const some = slicePositions(cache, first, Math.min(pages, first + most));
    const views = { x: args.x, positions: args.positions, slots: target.slots };
    eachRows(runtime, views, ({ x, positions, slots }) => {
      const part = { ...args, x, positions, target: { ...target, slots, cache: some } };
      dispatchRows(runtime, part, first * pageSize);
    });
  }
}

function dispatchRows(runtime: LaunchTarget, args: IndexRowsArgs, firstSlot: number): void {
  const { x, cos, sin, positions, interleaved, hadamard, target } = args;
  const isKeys = target.kind === 'keys';
  const weights = isKeys ? target.normWeight : target.weights;
  const [rows, heads] = x.shape as [number, number, number];
  const config: IndexRowsConfig = {
    ...{ kind: target.kind, x: x.dtype as RowDType, weights: weights.dtype as RowDType },
    ...{ interleaved, hadamard },
  };
  const reads = { x, cos, sin, positions, weights };
  const tensors = isKeys
    ? {
        reads: { ...reads, bias: target.normBias, slots: target.slots },
        writes: { out: target.cache },
      }
    : { reads, writes: { out: target.out, outWeights: target.outWeights } };
  bindAll(runtime, tensors, (bound) => {
    const start = startIn(bound);
    runtime.dispatch({
      name: `index rows ${Object.values(config).join(' ')}`,
      ...{ source: () => indexRowsKernel(config), config },
      params: {
        ...{ vectors: rows * heads, heads, known: cos.shape[0] as number },
        ...{ weightScale: 1 / Math.sqrt(heads * indexDim), eps: isKeys ? target.eps : 0 },
        ...{ xStart: start('x'), xStride: strideOf(x, 0), xHeadStride: strideOf(x, 1) },
        ...{ cosStart: start('cos'), sinStart: start('sin'), positionsStart: start('positions') },
        ...{ weightsStart: start('weights'), weightsStride: strideOf(weights, 0) },
        outStart: start('out'),
        ...(isKeys
          ? {
              ...{ biasStart: start('bias'), slotsStart: start('slots'), firstSlot },
              capacity: (target.cache.shape[0] ?? 0) * (target.cache.shape[1] ?? 0),
              pageSize: target.cache.shape[1] ?? 1,
            }
          : { outWeightsStart: start('outWeights') }),
      },
      storage: resourcesOf(bound),
      workgroups: flatGrid(rows * heads, runtime.capabilities.workgroupsPerDimension),
    });
  });
}

function launchMqaLogits(runtime: LaunchTarget, args: MqaLogitsArgs): void {
  const { keys, queriesPerRequest, cleanLogits } = args;
  const { q, weights, ends, logits } = args;
  const isPaged = keys.kind === 'paged';
  const starts = isPaged ? ends : keys.starts;
  let firstRow = 0;
  eachRows(runtime, { q, weights, ends, logits, starts }, (part, rows) => {
    const [, heads = 1] = part.q.shape;
    const columns = part.logits.shape[1] as number;
    const blocks = Math.ceil(columns / logitsColumns);
    const config = { heads, paged: isPaged, cleanLogits };
    const reads = { q: part.q, weights: part.weights, ends: part.ends };
    const more = isPaged
      ? { keys: keys.cache, blockTable: keys.blockTable }
      : { keys: keys.keys, scales: keys.scales, starts: part.starts };
    bindAll(runtime, { reads: { ...reads, ...more }, writes: { logits: part.logits } }, (bound) => {
      const start = startIn(bound);
      runtime.dispatch({
        name: `mqa logits ${Object.values(config).join(' ')}`,
        ...{ source: () => mqaLogitsKernel(config), config },
        params: {
          ...{ rows, columns, blocks, firstRow, queries: queriesPerRequest },
          ...{ qStart: start('q'), weightsStart: start('weights'), keysStart: start('keys') },
          ...{ endsStart: start('ends'), logitsStart: start('logits') },
          logitsStride: strideOf(part.logits, 0),
          ...(isPaged
            ? {
                ...{ tableStart: start('blockTable'), tableStride: strideOf(keys.blockTable, 0) },
                pageSize: keys.cache.shape[1] as number,
                numPages: keys.cache.shape[0] as number,
              }
            : { scalesStart: start('scales'), startsStart: start('starts') }),
        },
        storage: resourcesOf(bound),
        workgroups: flatGrid(rows * blocks, runtime.capabilities.workgroupsPerDimension),
      });
    });
    firstRow += rows;
  });
}

function launchIndexTopK(runtime: LaunchTarget, args: IndexTopKArgs): void {
  const { logits, ends, indices, blockTable, pageSize, queriesPerRequest } = args;
  const config = { hasStarts: args.starts !== undefined, mapped: blockTable !== undefined };
  let firstRow = 0;
  eachRows(runtime, { logits, ends, indices, starts: args.starts ?? ends }, (part, rows) => {
    const reads = {
      ...{ logits: part.logits, ends: part.ends, blockTable },
      starts: config.hasStarts ? part.starts : undefined,
    };
    bindAll(runtime, { reads, writes: { indices: part.indices } }, (bound) => {
      const start = startIn(bound);
      runtime.dispatch({
        name: `index top k ${Object.values(config).join(' ')}`,
        ...{ source: () => indexTopKKernel(config), config },
        params: {
          ...{ rows, columns: part.logits.shape[1] as number, firstRow },
          ...{ topK: part.indices.shape[1] as number, queries: queriesPerRequest },
          ...{ logitsStart: start('logits'), logitsStride: strideOf(part.logits, 0) },
          ...{ endsStart: start('ends'), indicesStart: start('indices') },
          ...(config.hasStarts && { startsStart: start('starts') }),
          ...(blockTable && {
            ...{ tableStart: start('blockTable'), tableStride: strideOf(blockTable, 0) },
            ...{ tableWidth: blockTable.shape[1] as number, pageSize },
          }),
        },
        storage: resourcesOf(bound),
        workgroups: flatGrid(rows, runtime.capabilities.workgroupsPerDimension),
      });
    });
    firstRow += rows;
  });
}

export const indexerWebGpuKernels = [
  defineWebGpuKernel({ operation: indexRowsOperation, launch: launchIndexRows }),
  defineWebGpuKernel({ operation: mqaLogitsOperation, launch: launchMqaLogits }),
  defineWebGpuKernel({ operation: indexTopKOperation, launch: launchIndexTopK }),
];
