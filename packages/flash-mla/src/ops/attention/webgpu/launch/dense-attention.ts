import { dtypeSize } from '@flash-mla/core';
import type { TensorView } from '../../../../runtime/tensor/view.ts';
import { withOutput } from '../../../../runtime/webgpu/launch/buffers.ts';
import { flatGrid, type LaunchTarget } from '../../../../runtime/webgpu/runtime/runtime.ts';
import {
  alignmentOf,
  bindRows,
  bindWhole,
  rangeOf,
  strideOf,
} from '../../../../runtime/webgpu/runtime/views.ts';
import { type PartDType, plainRows } from '../../../kernel-lib/webgpu/row-format.ts';
import type { DenseAttentionArgs } from '../../contract.ts';
import { selectAttention } from '../select.ts';
import { launchAttention, log2e } from './attention.ts';

/** Dense attention: one workgroup for some query rows of a request and KV head. */
export function denseAttention(runtime: LaunchTarget, args: DenseAttentionArgs): void {
  const { q, k, v, seqlensK, blockTable, maxSeqLenQ, causal, out, lse } = args;
  const { capabilities } = runtime;
  const [totalQ, numHeadsQ, headDimQk] = q.shape as [number, number, number];
  const paged = k.shape.length === 4;
  const numHeadsKv = k.shape[k.shape.length - 2] as number;
  const headDimV = v.shape[v.shape.length - 1] as number;
  const group = numHeadsQ / numHeadsKv;
  const dtype = q.dtype as PartDType;
  const keyRows = rowsOf(k);
  const valueRows = rowsOf(v);
  const keys = bindRows([rangeOf(k)], capabilities);
  const values = bindRows([rangeOf(v)], capabilities);
  const lists: Record<string, TensorView> = {};
  if (args.cuSeqlensQ) lists.cuSeqlensQ = args.cuSeqlensQ;
  if (args.cuSeqlensK && !seqlensK) lists.cuSeqlensK = args.cuSeqlensK;
  if (seqlensK) lists.seqlensK = seqlensK;
  if (blockTable) lists.blockTable = blockTable;
  const config = selectAttention(
    {
      work: 'dense-attention',
      numRows: maxSeqLenQ * group,
      headDimQk,
      headDimV,
      query: dtype,
      keys: plainRows(dtype, headDimQk),
      keyAlignment: keyRows.alignment,
      keyBindings: keys.resources.length,
      values: { alignment: valueRows.alignment, bindings: values.resources.length },
      causal,
      lists: Object.keys(lists),
    },
    capabilities,
  );
  const batch = batchOf(args);
  const rowTiles = Math.ceil((maxSeqLenQ * group) / config.rows);
  const items = batch * numHeadsKv * rowTiles;
  if (items === 0) return;
  const lseBound = bindWhole('lse', rangeOf(lse), capabilities);
  withOutput(runtime, 'out', rangeOf(out), (output) => {
    launchAttention(runtime, {
      config,
      query: q,
      keys,
      values,
      lists,
      outputs: { output: output.resource, lse: lseBound.resource },
      params: {
        items,
        rowTiles,
        numHeadsKv,
        numHeadsQ,
        group,
        totalQ,
        maxSeqLenQ,
        ...(blockTable && { tableStride: strideOf(blockTable, 0) }),
        ...(!paged && { totalK: k.shape[0] as number }),
        ...(paged && {
          capacity: Math.min(args.maxSeqLenK, 2 ** 31 - 1),
          page: k.shape[1] as number,
          numBlocks: k.shape[0] as number,
          keyBlock: keyRows.block,
          valueBlock: valueRows.block,
        }),
        queryPosition: strideOf(q, 0),
        queryHead: strideOf(q, 1),
        keyRow: keyRows.row,
        keyHead: keyRows.head,
        valueRow: valueRows.row,
        valueHead: valueRows.head,
        output: output.firstByte / 4,
        lse: lseBound.firstByte / 4,
        scale: args.softmaxScale * log2e,
      },
      workgroups: flatGrid(items, capabilities.workgroupsPerDimension),
    });
  });
}

function batchOf({ cuSeqlensQ, cuSeqlensK, seqlensK }: DenseAttentionArgs): number {
  if (seqlensK) return seqlensK.shape[0] as number;
  return ((cuSeqlensQ ?? cuSeqlensK)?.shape[0] ?? 1) - 1;
}

/** Strides of K or V, packed or paged, in units of the alignment they share. */
function rowsOf(view: TensorView) {
  const size = dtypeSize(view.dtype);
  const [head, row, block] = [2, 3, 4].map((fromEnd) =>
    fromEnd > view.shape.length ? 0 : strideOf(view, view.shape.length - fromEnd) * size,
  ) as [number, number, number];
  const alignment = alignmentOf([view.byteOffset, head, row, block]);
  return { alignment, head: head / alignment, row: row / alignment, block: block / alignment };
}
