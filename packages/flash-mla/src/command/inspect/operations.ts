import { denseAttention } from '../../ops/attention/bench/dense-attention.ts';
import { denseDecode } from '../../ops/attention/bench/dense-decode.ts';
import { metadata } from '../../ops/attention/bench/metadata.ts';
import { sparseDecode } from '../../ops/attention/bench/sparse-decode.ts';
import { sparsePrefill } from '../../ops/attention/bench/sparse-prefill.ts';
import {
  flashAttnVarlenFunc,
  flashMlaSparseFwd,
  flashMlaWithKvCache,
  getMlaMetadata,
} from '../../ops/attention/index.ts';
import * as attention from '../../ops/attention/operations.ts';
import type { BenchOperation, ProblemOptions } from '../../ops/bench/operation.ts';
import { largest } from '../../ops/bench/sizes.ts';
import { append } from '../../ops/kv-cache/bench/append.ts';
import { quantize } from '../../ops/kv-cache/bench/quantize.ts';
import { appendKvCache, dequantizeKvCache, quantizeKvCache } from '../../ops/kv-cache/index.ts';
import { appendRows, dequantizeRows, quantizeRows } from '../../ops/kv-cache/operations.ts';
import { operationTools } from '../../ops/operation-tools.ts';
import type { Device } from '../../runtime/device/device.ts';
import type { AnyOperation } from '../../runtime/operation/operation.ts';
import { packedRows } from '../../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import type { HasDefaults } from '../bench/defaults.ts';

/** An operation that can be inspected: sizes come from the options of `bench`. */
export interface InspectOperation extends HasDefaults {
  readonly accepts: readonly (keyof ProblemOptions)[];
  /** What of the traced calls is shown. */
  readonly operation: AnyOperation;
  /** The kinds of devices that have kernels for it; absent: all. */
  readonly inspects?: readonly ('cuda' | 'webgpu')[];
  /** Only this launch of the operation. */
  readonly role?: string;
  /** Makes inputs, to run the operation in the simulator. */
  readonly bench?: BenchOperation;
  /** Makes the public call, with empty tensors of the problem's sizes. */
  call(device: Device, options: ProblemOptions): void;
  /** Bytes of its inputs and outputs. */
  footprint(options: ProblemOptions): number;
}

function callDense(device: Device, options: ProblemOptions): void {
  const { dtype, sQ, hQ, hKv, dQk, dV, pageSize, causal, lengths } = denseDecode.problem(
    options,
    'gpu',
  );
  const blocksOf = (tokens: number) => Math.ceil(tokens / pageSize);
  const batch = lengths.length;
  const maxBlocks = blocksOf(largest(lengths));
  const numBlocks = lengths.reduce((sum, tokens) => sum + blocksOf(tokens), 0);
  const [schedMeta] = getMlaMetadata();
  flashMlaWithKvCache({
    q: device.empty([batch, sQ, hQ, dQk], dtype),
    kCache: device.empty([numBlocks, pageSize, hKv, dQk], dtype),
    blockTable: device.empty([batch, maxBlocks], 'i32'),
    cacheSeqlens: device.empty([batch], 'i32'),
    headDimV: dV,
    schedMeta,
    causal,
  });
}

function callSparse(device: Device, options: ProblemOptions): void {
  const { layout, b, sQ, hQ, sKv, topk, extraTopk, extraLengths, dQk, dV, ...pages } =
    sparseDecode.problem(options, 'gpu');
  const cache = (page: number) => cacheOf(device, layout, b * Math.ceil(sKv / page), page, dQk);
  const indices = (width: number) => device.empty([b, sQ, width], 'i32');
  const [schedMeta] = getMlaMetadata();
  flashMlaWithKvCache({
    q: device.empty([b, sQ, hQ, dQk], 'bf16'),
    kCache: cache(pages.pageSize) as Tensor<'u8'>,
    indices: indices(topk),
    ...(extraTopk > 0 && {
      extraKCache: cache(pages.extraPageSize) as Tensor<'u8'>,
      extraIndicesInKvCache: indices(extraTopk),
      ...(extraLengths && { extraTopkLength: device.empty([b], 'i32') }),
    }),
    headDimV: dV,
    schedMeta,
  });
}

/** A cache as the library makes it: model1 blocks are padded. */
function cacheOf(
  device: Device,
  layout: 'v32' | 'model1' | 'bf16',
  blocks: number,
  page: number,
  dQk: number,
): Tensor {
  if (layout === 'bf16') return device.empty([blocks, page, 1, dQk], 'bf16');
  const { rowBytes, blockPadding } = packedRows[layout];
  const block = Math.ceil((page * rowBytes) / blockPadding) * blockPadding;
  return device.emptyStrided([blocks, page, 1, rowBytes], [block, rowBytes, rowBytes, 1], 'u8');
}

function callPrefill(device: Device, options: ProblemOptions): void {
  const { sQ, hQ, sKv, hKv, topk, dQk, dV } = sparsePrefill.problem(options, 'gpu');
  flashMlaSparseFwd({
    q: device.empty([sQ, hQ, dQk], 'bf16'),
    kv: device.empty([sKv, hKv, dQk], 'bf16'),
    indices: device.empty([sQ, hKv, topk], 'i32'),
    smScale: 1 / Math.sqrt(dQk),
    dV,
  });
}

function callAttention(device: Device, options: ProblemOptions): void {
  const problem = denseAttention.problem(options, 'gpu');
  const { dtype, sQ, hQ, hKv, dQk, dV, causal, lengths } = problem;
  const batch = lengths.length;
  const tokens = lengths.reduce((sum, n) => sum + n, 0);
  flashAttnVarlenFunc({
    q: device.empty([batch * sQ, hQ, dQk], dtype),
    k: device.empty([tokens, hKv, dQk], dtype),
    v: device.empty([tokens, hKv, dV], dtype),
    cuSeqlensQo: device.empty([batch + 1], 'i32'),
    cuSeqlensKv: device.empty([batch + 1], 'i32'),
    maxSeqlenQo: sQ,
    maxSeqlenKv: largest(lengths),
    causal,
  });
}

function callMetadata(device: Device, options: ProblemOptions): void {
  const { sQ, hQ, hKv, lengths } = metadata.problem(options, 'gpu');
  getMlaMetadata(device.empty([lengths.length], 'i32'), (sQ * hQ) / hKv, hKv, hQ);
}

function callQuantize(device: Device, options: ProblemOptions): void {
  const { layout, blocks, pageSize } = quantize.problem(options, 'gpu');
  const shape = [blocks, pageSize, 1, packedRows[layout].headDimQk];
  quantizeKvCache({ kCache: device.empty(shape, 'bf16'), layout });
}

function callDequantize(device: Device, options: ProblemOptions): void {
  const { layout, blocks, pageSize } = quantize.problem(options, 'gpu');
  const kCache = cacheOf(device, layout, blocks, pageSize, packedRows[layout].headDimQk);
  dequantizeKvCache({ kCache: kCache as Tensor<'u8'>, layout });
}

function callAppend(device: Device, options: ProblemOptions): void {
  const { layout, dtype, rows, hKv, dQk, blocks, pageSize } = append.problem(options, 'gpu');
  appendKvCache({
    kCache:
      layout === 'plain'
        ? device.empty([blocks, pageSize, hKv, dQk], dtype as 'bf16')
        : (cacheOf(device, layout, blocks, pageSize, dQk) as never),
    rows: device.empty([rows, hKv, dQk], dtype as 'bf16'),
    slots: device.empty([rows], 'i32'),
  });
}

/** What an operation takes from that of `bench` whose sizes it has. */
function sizesOf({ accepts, defaults, derived, problem }: BenchOperation) {
  const footprint = (options: ProblemOptions) => problem(options, 'gpu').footprint;
  return { accepts, defaults, derived, footprint };
}

const list: readonly InspectOperation[] = [
  {
    name: 'dense-decode',
    bench: denseDecode,
    ...sizesOf(denseDecode),
    operation: attention.denseDecode,
    call: callDense,
  },
  {
    name: 'sparse-decode',
    bench: sparseDecode,
    ...sizesOf(sparseDecode),
    operation: attention.sparseDecode,
    call: callSparse,
  },
  {
    name: 'sparse-prefill',
    bench: sparsePrefill,
    ...sizesOf(sparsePrefill),
    operation: attention.sparsePrefill,
    call: callPrefill,
  },
  {
    name: 'dense-attention',
    bench: denseAttention,
    ...sizesOf(denseAttention),
    operation: attention.denseAttention,
    call: callAttention,
  },
  {
    name: 'combine',
    bench: denseDecode,
    ...sizesOf(denseDecode),
    operation: attention.denseDecode,
    role: 'combine',
    call: callDense,
  },
  {
    name: 'metadata',
    bench: metadata,
    ...sizesOf(metadata),
    operation: attention.computeSchedule,
    call: callMetadata,
  },
  {
    name: 'quantize',
    bench: quantize,
    ...sizesOf(quantize),
    operation: quantizeRows,
    call: callQuantize,
  },
  {
    name: 'dequantize',
    ...sizesOf(quantize),
    operation: dequantizeRows,
    call: callDequantize,
  },
  {
    name: 'append',
    bench: append,
    ...sizesOf(append),
    operation: appendRows,
    call: callAppend,
  },
  ...operationTools.flatMap(({ benches }) =>
    benches
      .filter(({ inspects }) => inspects.length > 0)
      .map((bench) => ({
        ...{ name: bench.name, bench, ...sizesOf(bench), operation: bench.operation },
        inspects: bench.inspects,
        call: (device: Device, options: ProblemOptions) =>
          bench.call(device, bench.problem(options, 'gpu')),
      })),
  ),
];

/** By name, in the order of the help. */
export const inspectOperations: ReadonlyMap<string, InspectOperation> = new Map(
  list.map((operation) => [operation.name, operation]),
);
