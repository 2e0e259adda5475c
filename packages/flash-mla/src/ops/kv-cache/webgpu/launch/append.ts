import { dtypeSize } from '@flash-mla/core';
import type { TensorView } from '../../../../runtime/tensor/view.ts';
import { withInput, withOutput } from '../../../../runtime/webgpu/launch/buffers.ts';
import { positionsPerBinding, slicePositions } from '../../../../runtime/webgpu/launch/slices.ts';
import { flatGrid, type LaunchTarget } from '../../../../runtime/webgpu/runtime/runtime.ts';
import {
  alignmentOf,
  type BoundRange,
  bindRange,
  rangeOf,
  strideOf,
} from '../../../../runtime/webgpu/runtime/views.ts';
import type { AppendArgs } from '../../contract.ts';
import { appendPackedKernel, appendPlainKernel } from '../kernels/append.ts';
import { blockRange } from './quantize.ts';

/** Rows → tokens of a cache, some blocks and some rows at a time where they do not fit a binding. */
export function appendKvCache(runtime: LaunchTarget, args: AppendArgs): void {
  const { rows, slots, kCache } = args;
  const [count, page] = [rows.shape[0] as number, kCache.shape[1] as number];
  const mostRows = positionsPerBinding(runtime, rows);
  for (const { begin, end } of windows(runtime, kCache)) {
    const blocks = slicePositions(kCache, begin, end);
    withCache(runtime, blocks, (cache) => {
      for (let first = 0; first < count; first += mostRows) {
        const last = Math.min(count, first + mostRows);
        const part = {
          ...args,
          rows: slicePositions(rows, first, last),
          slots: slicePositions(slots, first, last),
          kCache: blocks,
        };
        appendToBlocks(runtime, part, begin * page, cache);
      }
    });
  }
}

/** The blocks of a cache in runs that a binding takes. A block that lies across two buffers is alone. */
function* windows(runtime: LaunchTarget, kCache: TensorView) {
  const blocks = kCache.shape[0] as number;
  const most = positionsPerBinding(runtime, kCache);
  const stride = strideOf(kCache, 0) * dtypeSize(kCache.dtype);
  for (let begin = 0; begin < blocks; ) {
    let end = Math.min(blocks, begin + most);
    if (stride > 0) {
      const first = blockRange(slicePositions(kCache, begin, begin + 1));
      const { partBytes } = first.buffer;
      const endOfBuffer = (Math.floor(first.begin / partBytes) + 1) * partBytes;
      const inBuffer = Math.floor((endOfBuffer - first.end) / stride) + 1;
      end = Math.min(end, begin + Math.max(1, inBuffer));
    }
    yield { begin, end };
    begin = end;
  }
}

/** Binds blocks where they are, also those that do not begin at a word; see {@link withOutput}. */
function withCache(
  runtime: LaunchTarget,
  blocks: TensorView,
  enqueue: (cache: BoundRange) => void,
): void {
  const range = blockRange(blocks);
  const bound = bindRange(range, runtime.capabilities);
  if (bound) enqueue(bound);
  else withOutput(runtime, 'kCache', range, enqueue, true);
}

function appendToBlocks(
  runtime: LaunchTarget,
  args: AppendArgs,
  firstSlot: number,
  cache: BoundRange,
): void {
  const { rows, slots, kCache } = args;
  const shares = ({ buffer }: TensorView) => buffer === kCache.buffer;
  const enqueue = (source: BoundRange, list: BoundRange) =>
    launch(runtime, args, firstSlot, { source, list, cache });
  const withSlots = (source: BoundRange) =>
    withInput(runtime, 'slots', rangeOf(slots), (list) => enqueue(source, list), shares(slots));
  withInput(runtime, 'rows', rangeOf(rows), withSlots, shares(rows));
}

interface Bound {
  readonly source: BoundRange;
  readonly list: BoundRange;
  readonly cache: BoundRange;
}

function launch(
  runtime: LaunchTarget,
  { layout, rows, slots, kCache }: AppendArgs,
  firstSlot: number,
  { source, list, cache }: Bound,
): void {
  const [numRows, heads, columns] = rows.shape as [number, number, number];
  const [numBlocks, page] = kCache.shape as [number, number];
  const slotWords = (dtypeSize(slots.dtype) / 4) as 1 | 2;
  const count = numRows * heads;
  const common = {
    ...{ count, page, firstSlot, tokens: numBlocks * page },
    slots: list.firstByte / 4,
  };
  const workgroups = flatGrid(count, runtime.capabilities.workgroupsPerDimension);
  const inputs = { source: source.resource, slots: list.resource };
  const size = dtypeSize(rows.dtype);
  if (layout !== 'plain') {
    runtime.dispatch({
      name: `append ${layout} ${slotWords}`,
      source: () => appendPackedKernel(layout, slotWords),
      config: { layout, slotWords },
      params: {
        ...common,
        packedStart: cache.firstByte / 4,
        blockWords: strideOf(kCache, 0) / 4,
        rowWords: strideOf(kCache, 1) / 4,
        rows: source.firstByte / size,
        rowStride: strideOf(rows, 0),
      },
      storage: { ...inputs, packed: cache.resource },
      workgroups,
    });
    return;
  }
  const bytes = {
    rowBytes: columns * size,
    rows: source.firstByte,
    rowStride: strideOf(rows, 0) * size,
    rowHeadStride: strideOf(rows, 1) * size,
    cache: cache.firstByte,
    blockStride: strideOf(kCache, 0) * size,
    tokenStride: strideOf(kCache, 1) * size,
    headStride: strideOf(kCache, 2) * size,
  };
  const aligned = alignmentOf(Object.values(bytes)) > 1;
  runtime.dispatch({
    name: `append ${aligned ? 'words' : 'bytes'} ${slotWords}`,
    source: () => appendPlainKernel(aligned, slotWords),
    config: { aligned, slotWords },
    params: { ...common, ...bytes, heads },
    storage: { ...inputs, cache: cache.resource },
    workgroups,
  });
}
