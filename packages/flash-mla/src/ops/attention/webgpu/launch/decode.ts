import { dtypeSize, InvalidArgumentError } from '@flash-mla/core';
import { packedRows } from '../../../../runtime/tensor/packed-rows.ts';
import type { TensorView } from '../../../../runtime/tensor/view.ts';
import { wholeBuffer, withOutput } from '../../../../runtime/webgpu/launch/buffers.ts';
import type { WebGpuBuffer } from '../../../../runtime/webgpu/runtime/memory.ts';
import { flatGrid, type LaunchTarget } from '../../../../runtime/webgpu/runtime/runtime.ts';
import {
  alignmentOf,
  type ByteRange,
  bindRows,
  bindWhole,
  rangeOf,
  strideOf,
} from '../../../../runtime/webgpu/runtime/views.ts';
import {
  type PartDType,
  plainRows,
  type RowFormat,
  sparseRows,
} from '../../../kernel-lib/webgpu/row-format.ts';
import type { DenseDecodeArgs, SparseCache, SparseDecodeArgs } from '../../contract.ts';
import { fixedSplits } from '../../schedule/tile-scheduler.ts';
import type { Schedule, SchedulePlan } from '../../schedule-contract.ts';
import { workspacePitch } from '../finish.ts';
import { type CombineConfig, combineKernel, combineName } from '../kernels/combine.ts';
import { selectAttention } from '../select.ts';
import { launchAttention, log2e } from './attention.ts';

/** Dense decoding: partial results of every piece, then their combination. */
export function denseDecode(runtime: LaunchTarget, args: DenseDecodeArgs): void {
  const { q, kCache, blockTable, seqlens, schedule, causal, descaleQ, descaleK } = args;
  const [batch, seqLenQ, numHeadsQ, headDimQk] = q.shape as [number, number, number, number];
  const [numBlocks, page, numHeadsKv] = kCache.shape as [number, number, number, number];
  const dtype = q.dtype as PartDType;
  const group = numHeadsQ / numHeadsKv;
  const size = dtypeSize(kCache.dtype);
  const strides = [0, 1, 2].map((i) => strideOf(kCache, i) * size);
  const keyAlignment = alignmentOf([kCache.byteOffset, ...strides]);
  const keys = bindRows([rangeOf(kCache)], runtime.capabilities);
  const config = selectAttention(
    {
      work: 'dense-decode',
      numRows: seqLenQ * group,
      headDimQk,
      headDimV: args.headDimV,
      query: dtype,
      keys: plainRows(dtype, headDimQk),
      keyAlignment,
      keyBindings: keys.resources.length,
      causal,
      lists: [],
    },
    runtime.capabilities,
  );
  const rowTiles = Math.ceil((seqLenQ * group) / config.rows);
  const maxBlocks = blockTable.shape[1] as number;
  const [keyBlock, keyRow, keyHead] = strides.map((n) => n / keyAlignment);
  const e4m3 = dtype === 'e4m3';
  const deviceParams: Record<string, ByteRange> = {};
  if (descaleQ) deviceParams.descaleQ = rangeOf(descaleQ);
  if (descaleK) deviceParams.descaleK = rangeOf(descaleK);

  const splits = planSplits(schedule.plan, batch, maxBlocks * page);
  withWorkspace(runtime, args, splits, (workspace) => {
    launchAttention(runtime, {
      config,
      query: q,
      keys,
      lists: { seqlens, blockTable, metadata: schedule.metadata, numSplits: schedule.numSplits },
      outputs: { workspace: wholeBuffer(workspace) },
      params: {
        blockTokens: schedule.plan.blockTokens,
        splitBlocks: schedule.plan.splitBlocks,
        batch,
        ...splits,
        tableStride: strideOf(blockTable, 0),
        capacity: Math.min(maxBlocks * page, 2 ** 31 - 1),
        seqLenQ,
        numHeadsQ,
        group,
        rowTiles,
        queryBatch: strideOf(q, 0),
        queryPosition: strideOf(q, 1),
        queryHead: strideOf(q, 2),
        page,
        numBlocks,
        keyBlock: keyBlock as number,
        keyRow: keyRow as number,
        keyHead: keyHead as number,
        scale: args.softmaxScale * log2e,
        ...(e4m3 && { descaleQ: 1, descaleK: 1 }),
      },
      deviceParams,
      workgroups: [numHeadsKv * rowTiles, schedule.plan.numParts, 1],
    });
    combine(runtime, args, workspace, {
      rows: batch * seqLenQ * numHeadsQ,
      splits,
      descaleK: e4m3 ? descaleK : undefined,
    });
  });
}

/** Sparse decoding: the same over the rows that the indices name. */
export function sparseDecode(runtime: LaunchTarget, args: SparseDecodeArgs): void {
  const { q, layout, main, extra, schedule, attnSink } = args;
  const [batch, seqLenQ, numHeadsQ, headDimQk] = q.shape as [number, number, number, number];
  const format = sparseRows(layout, headDimQk);
  const caches = extra ? [main, extra] : [main];
  const keyAlignment = alignmentOf(caches.flatMap((cache) => byteStrides(cache, format)));
  const keys = bindRows(
    caches.map(({ kCache }) => cacheRange(kCache, format)),
    runtime.capabilities,
  );
  const lists: Record<string, TensorView> = { indices: main.indices };
  if (main.topkLength) lists.topkLength = main.topkLength;
  if (extra) lists.extraIndices = extra.indices;
  if (extra?.topkLength) lists.extraTopkLength = extra.topkLength;
  const config = selectAttention(
    {
      work: 'sparse-decode',
      numRows: numHeadsQ,
      headDimQk,
      headDimV: args.headDimV,
      query: 'bf16',
      keys: format,
      keyAlignment,
      keyBindings: keys.resources.length,
      causal: false,
      lists: Object.keys(lists).filter((name) => name !== 'indices'),
    },
    runtime.capabilities,
  );
  const rowTiles = Math.ceil(numHeadsQ / config.rows);
  const topk = main.indices.shape[2] as number;
  const extraTopk = extra?.indices.shape[2] ?? 0;
  const cacheParams = (cache: SparseCache, start: number) => {
    const [offset, block, row] = byteStrides(cache, format) as [number, number, number];
    void offset;
    return {
      keys: start / keyAlignment,
      keyBlock: block / keyAlignment,
      keyRow: row / keyAlignment,
      page: cache.kCache.shape[1] as number,
      slots: (cache.kCache.shape[0] as number) * (cache.kCache.shape[1] as number),
      indicesBatch: strideOf(cache.indices, 0),
      indicesPosition: strideOf(cache.indices, 1),
    };
  };
  const mainParams = cacheParams(main, keys.starts[0] as number);
  const extraParams = extra && cacheParams(extra, keys.starts[1] as number);

  const tokens = topk + extraTopk + schedule.plan.blockTokens;
  const splits = planSplits(schedule.plan, batch, tokens);
  withWorkspace(runtime, args, splits, (workspace) => {
    launchAttention(runtime, {
      config,
      query: q,
      keys,
      lists: { ...lists, metadata: schedule.metadata, numSplits: schedule.numSplits },
      outputs: { workspace: wholeBuffer(workspace) },
      params: {
        blockTokens: schedule.plan.blockTokens,
        splitBlocks: schedule.plan.splitBlocks,
        batch,
        ...splits,
        topk,
        ...mainParams,
        ...(extraParams && {
          extraTopk,
          extraPage: extraParams.page,
          extraSlots: extraParams.slots,
          extraKeys: extraParams.keys,
          extraKeyBlock: extraParams.keyBlock,
          extraKeyRow: extraParams.keyRow,
          extraIndicesBatch: extraParams.indicesBatch,
          extraIndicesPosition: extraParams.indicesPosition,
        }),
        seqLenQ,
        numHeadsQ,
        rowTiles,
        queryBatch: strideOf(q, 0),
        queryPosition: strideOf(q, 1),
        queryHead: strideOf(q, 2),
        scale: args.softmaxScale * log2e,
      },
      workgroups: [seqLenQ * rowTiles, schedule.plan.numParts, 1],
    });
    const rows = batch * seqLenQ * numHeadsQ;
    combine(runtime, args, workspace, { rows, splits, sink: attnSink });
  });
}

/** Offset, block stride and row stride of a cache in bytes. */
function byteStrides({ kCache }: SparseCache, format: RowFormat): number[] {
  const size = dtypeSize(kCache.dtype);
  const row = format.scales === 'beside' ? packedRows.model1.rowStride : strideOf(kCache, 1) * size;
  return [kCache.byteOffset, strideOf(kCache, 0) * size, row];
}

/** model1: a block's bytes, whatever the strides of its rows say. */
function cacheRange(kCache: TensorView, format: RowFormat): ByteRange {
  if (format.scales !== 'beside') return rangeOf(kCache);
  const [blocks, page, , rowBytes] = kCache.shape as [number, number, number, number];
  const last = Math.max(0, blocks - 1) * strideOf(kCache, 0) + page * rowBytes;
  return {
    buffer: kCache.buffer as WebGpuBuffer,
    begin: kCache.byteOffset,
    end: kCache.byteOffset + last,
  };
}

interface DecodeOutputs {
  readonly q: TensorView;
  readonly headDimV: number;
  readonly schedule: Schedule;
  readonly out: TensorView;
  readonly lse: TensorView;
}

/** Room for the results of splits, of requests of up to `tokens` tokens. */
export function planSplits(plan: SchedulePlan, batch: number, tokens: number) {
  const { numParts, blockTokens, splitBlocks } = plan;
  const mostBlocks = Math.max(1, Math.ceil(Math.min(tokens, 2 ** 31 - 1) / blockTokens));
  if (splitBlocks === 0) return { mostBlocks, slots: numParts + batch, slotsPerRequest: 0 };
  const slotsPerRequest = fixedSplits(plan, mostBlocks);
  return { mostBlocks, slots: batch * slotsPerRequest, slotsPerRequest };
}

function withWorkspace(
  runtime: LaunchTarget,
  { q, headDimV }: DecodeOutputs,
  { slots }: ReturnType<typeof planSplits>,
  enqueue: (workspace: WebGpuBuffer) => void,
): void {
  const [, seqLenQ, numHeadsQ] = q.shape as [number, number, number];
  const bytes = slots * seqLenQ * numHeadsQ * workspacePitch(headDimV) * 16;
  if (bytes > runtime.capabilities.bindingBytes) {
    throw new InvalidArgumentError(
      'q',
      `partial results of at most ${runtime.capabilities.bindingBytes} bytes on this adapter`,
      `${bytes} for ${slots} splits of ${seqLenQ * numHeadsQ} rows`,
      'Split the batch.',
    );
  }
  runtime.withScratch(bytes, enqueue);
}

function combine(
  runtime: LaunchTarget,
  { q, headDimV, schedule, out, lse }: DecodeOutputs,
  workspace: WebGpuBuffer,
  options: {
    readonly rows: number;
    readonly splits: ReturnType<typeof planSplits>;
    readonly sink?: TensorView | undefined;
    readonly descaleK?: TensorView | undefined;
  },
): void {
  const { capabilities } = runtime;
  const { rows, sink, descaleK } = options;
  const { slots, slotsPerRequest } = options.splits;
  const [, seqLenQ, numHeadsQ] = q.shape as [number, number, number];
  const config: CombineConfig = {
    output: out.dtype === 'f16' ? 'f16' : 'bf16',
    headDimV,
    sink: sink !== undefined,
    descale: descaleK !== undefined,
  };
  const numSplits = bindWhole('numSplits', rangeOf(schedule.numSplits), capabilities);
  const lseBound = bindWhole('lse', rangeOf(lse), capabilities);
  const sinkBound = sink && bindWhole('attnSink', rangeOf(sink), capabilities);
  withOutput(runtime, 'out', rangeOf(out), (output) => {
    runtime.dispatch({
      name: combineName(config),
      source: () => combineKernel(config),
      config,
      params: {
        rows,
        rowsPerRequest: seqLenQ * numHeadsQ,
        numHeadsQ,
        seqLenQ,
        numSplits: numSplits.firstByte / 4,
        slots,
        slotsPerRequest,
        output: output.firstByte / 4,
        lse: lseBound.firstByte / 4,
        ...(sinkBound && { sink: sinkBound.firstByte / 4 }),
        ...(descaleK && { descaleK: 1 }),
      },
      storage: {
        workspace: wholeBuffer(workspace),
        numSplits: numSplits.resource,
        output: output.resource,
        lse: lseBound.resource,
        ...(sinkBound && { sink: sinkBound.resource }),
      },
      deviceParams: descaleK ? { descaleK: rangeOf(descaleK) } : {},
      workgroups: flatGrid(rows, capabilities.workgroupsPerDimension),
    });
  });
}
