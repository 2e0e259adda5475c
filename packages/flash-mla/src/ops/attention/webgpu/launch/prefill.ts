import { dtypeSize } from '@flash-mla/core';
import type { SparsePrefillArgs } from '../../../attention/contract.ts';
import type { TensorView } from '../../../tensor/view.ts';
import { plainRows } from '../attention/row-format.ts';
import { selectAttention } from '../attention/select.ts';
import { flatGrid, type LaunchTarget } from '../runtime/runtime.ts';
import { alignmentOf, bindRows, bindWhole, rangeOf, strideOf } from '../runtime/views.ts';
import { launchAttention, log2e } from './attention.ts';
import { withOutput } from './buffers.ts';

/** Sparse prefill, in as many launches as it takes for every tensor to fit a binding. */
export function sparsePrefill(runtime: LaunchTarget, args: SparsePrefillArgs): void {
  const positions = args.q.shape[0] as number;
  const most = Math.min(
    ...[args.q, args.out, args.indices].map((view) => positionsPerBinding(runtime, view)),
  );
  for (let first = 0; first < positions; first += most) {
    const end = Math.min(positions, first + most);
    const slice = (view: TensorView) => slicePositions(view, first, end);
    prefillPositions(runtime, {
      ...args,
      q: slice(args.q),
      indices: slice(args.indices),
      topkLength: args.topkLength && slice(args.topkLength),
      out: slice(args.out),
      maxLogits: slice(args.maxLogits),
      lse: slice(args.lse),
    });
  }
}

/** Entries along the first dimension whose bytes fit a binding, wherever they begin; at least one. */
export function positionsPerBinding({ capabilities }: LaunchTarget, view: TensorView): number {
  const bytes = Math.max(1, strideOf(view, 0) * dtypeSize(view.dtype));
  const room = capabilities.bindingBytes - 2 * capabilities.offsetAlignment;
  return Math.max(1, Math.floor(room / bytes));
}

/** Entries `first` to `end` along the first dimension. */
export function slicePositions(view: TensorView, first: number, end: number): TensorView {
  const [, ...shape] = view.shape;
  const { buffer, dtype, strides } = view;
  const byteOffset = view.byteOffset + first * strideOf(view, 0) * dtypeSize(dtype);
  return { buffer, dtype, strides, shape: [end - first, ...shape], byteOffset };
}

function prefillPositions(runtime: LaunchTarget, args: SparsePrefillArgs): void {
  const { q, kv, indices, topkLength, attnSink, out, maxLogits, lse } = args;
  const { capabilities } = runtime;
  const [positions, numHeadsQ, headDimQk] = q.shape as [number, number, number];
  const [numKeys, numHeadsKv] = kv.shape as [number, number];
  const group = numHeadsQ / numHeadsKv;
  const size = dtypeSize('bf16');
  const [rowBytes, headBytes] = [strideOf(kv, 0) * size, strideOf(kv, 1) * size];
  const keyAlignment = alignmentOf([kv.byteOffset, rowBytes, headBytes]);
  const keys = bindRows([rangeOf(kv)], capabilities);
  const lists: Record<string, TensorView> = { indices };
  if (topkLength) lists.topkLength = topkLength;
  if (attnSink) lists.sink = attnSink;
  const config = selectAttention(
    {
      work: 'sparse-prefill',
      numRows: group,
      headDimQk,
      headDimV: args.headDimV,
      query: 'bf16',
      keys: plainRows('bf16', headDimQk),
      keyAlignment,
      keyBindings: keys.resources.length,
      causal: false,
      lists: Object.keys(lists).filter((name) => name !== 'indices'),
    },
    capabilities,
  );
  const rowTiles = Math.ceil(group / config.rows);
  const items = positions * numHeadsKv * rowTiles;
  const maxLogitsBound = bindWhole('maxLogits', rangeOf(maxLogits), capabilities);
  const lseBound = bindWhole('lse', rangeOf(lse), capabilities);
  withOutput(runtime, 'out', rangeOf(out), (output) => {
    launchAttention(runtime, {
      config,
      query: q,
      keys,
      lists,
      outputs: {
        output: output.resource,
        maxLogits: maxLogitsBound.resource,
        lse: lseBound.resource,
      },
      params: {
        items,
        rowTiles,
        numHeadsKv,
        numHeadsQ,
        group,
        indicesPosition: strideOf(indices, 0),
        indicesHead: strideOf(indices, 1),
        topk: indices.shape[2] as number,
        queryPosition: strideOf(q, 0),
        queryHead: strideOf(q, 1),
        numKeys,
        keyRow: rowBytes / keyAlignment,
        keyHead: headBytes / keyAlignment,
        output: output.firstByte / 4,
        maxLogits: maxLogitsBound.firstByte / 4,
        lse: lseBound.firstByte / 4,
        scale: args.smScale * log2e,
      },
      workgroups: flatGrid(items, capabilities.workgroupsPerDimension),
    });
  });
}
