import { dtypeSize } from '@flash-mla/core';
import type { TensorView } from '../../../../runtime/tensor/view.ts';
import { withOutput } from '../../../../runtime/webgpu/launch/buffers.ts';
import { positionsPerBinding, slicePositions } from '../../../../runtime/webgpu/launch/slices.ts';
import { flatGrid, type LaunchTarget } from '../../../../runtime/webgpu/runtime/runtime.ts';
import {
  alignmentOf,
  bindRows,
  bindWhole,
  rangeOf,
  strideOf,
} from '../../../../runtime/webgpu/runtime/views.ts';
import { plainRows } from '../../../kernel-lib/webgpu/row-format.ts';
import type { SparsePrefillArgs } from '../../contract.ts';
import { selectAttention } from '../select.ts';
import { launchAttention, log2e } from './attention.ts';

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
