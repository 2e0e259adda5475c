import type { ProblemOn } from '../../backends/cuda/inspect/inspect.ts';
import type { OperationName } from '../../backends/cuda/operations/operations.ts';
import type {
  AppendProblem,
  ComputeScheduleProblem,
  DenseAttentionProblem,
  DenseDecodeProblem,
  PackRowsProblem,
  Placement,
  SparseDecodeProblem,
  SparsePrefillProblem,
} from '../../backends/cuda/problems.ts';
import { dtypeSize } from '../../tensor/dtype.ts';
import { packedRows } from '../../tensor/packed-rows.ts';
import { contiguousStrides } from '../../tensor/shape.ts';
import type { HasDefaults } from '../bench/defaults.ts';
import type { BenchOperation, ProblemOptions } from '../bench/operation.ts';
import { append } from '../bench/operations/append.ts';
import { denseAttention } from '../bench/operations/dense-attention.ts';
import { denseDecode } from '../bench/operations/dense-decode.ts';
import { metadata } from '../bench/operations/metadata.ts';
import { quantize } from '../bench/operations/quantize.ts';
import { sparseDecode } from '../bench/operations/sparse-decode.ts';
import { sparsePrefill } from '../bench/operations/sparse-prefill.ts';
import { largest } from '../bench/sizes.ts';

/** An operation that can be inspected: sizes come from the options of `bench`. */
export interface InspectOperation extends HasDefaults {
  readonly accepts: readonly (keyof ProblemOptions)[];
  readonly operation: OperationName;
  /** Only this launch of the operation. */
  readonly role?: string;
  /** Makes inputs, to run the operation in the simulator. */
  readonly bench?: BenchOperation;
  problem(options: ProblemOptions): ProblemOn;
  /** Bytes of its inputs and outputs. */
  footprint(options: ProblemOptions): number;
}

const widest = 16;

/** How a contiguous tensor lies in memory, its innermost dimension left out. */
function contiguous(shape: readonly number[], elementBytes: number): Placement {
  const strides = contiguousStrides(shape)
    .slice(0, -1)
    .map((stride, i) => ((shape[i] ?? 0) > 1 ? stride : 0));
  const bits = strides.reduce((all, stride) => all | ((stride * elementBytes) % widest), 0);
  return { strides, alignment: bits === 0 ? widest : bits & -bits };
}

function denseProblem(options: ProblemOptions): ProblemOn {
  const { dtype, sQ, hQ, hKv, dQk, dV, pageSize, causal, lengths } = denseDecode.problem(
    options,
    'gpu',
  );
  const blocksOf = (tokens: number) => Math.ceil(tokens / pageSize);
  const batch = lengths.length;
  const maxBlocks = blocksOf(largest(lengths));
  const numBlocks = lengths.reduce((sum, tokens) => sum + blocksOf(tokens), 0);
  const size = dtypeSize(dtype);
  return (_, planSchedule): DenseDecodeProblem => ({
    dtype,
    outDtype: dtype === 'e4m3' ? 'bf16' : dtype,
    batch,
    seqLenQ: sQ,
    numHeadsQ: hQ,
    numHeadsKv: hKv,
    headDimQk: dQk,
    headDimV: dV,
    causal,
    softmaxScale: 1 / Math.sqrt(dQk),
    numBlocks,
    pageSize,
    maxBlocks,
    blockTableStride: batch > 1 ? maxBlocks : 0,
    hasDescaleQ: false,
    hasDescaleK: false,
    q: contiguous([batch, sQ, hQ, dQk], size),
    kCache: contiguous([numBlocks, pageSize, hKv, dQk], size),
    scheduledSeqLenK: maxBlocks * pageSize,
    plan: planSchedule({
      kind: 'dense',
      batch,
      seqLenQ: sQ,
      numHeadsQ: hQ,
      numHeadsKv: hKv,
      headDimQk: dQk,
      headDimV: dV,
      isFp8: dtype === 'e4m3',
      maxSeqLenK: maxBlocks * pageSize,
      deterministic: false,
    }),
  });
}

function sparseProblem(options: ProblemOptions): ProblemOn {
  const {
    layout,
    b,
    sQ,
    hQ,
    sKv,
    topk,
    extraTopk,
    extraLengths,
    dQk,
    dV,
    pageSize,
    extraPageSize,
  } = sparseDecode.problem(options, 'gpu');
  const cache = (tokensPerBlock: number, width: number, hasTopkLength: boolean) => {
    const numBlocks = b * Math.ceil(sKv / tokensPerBlock);
    return {
      numBlocks,
      pageSize: tokensPerBlock,
      topk: width,
      hasTopkLength,
      kCache: cachePlacement(layout, numBlocks, tokensPerBlock, dQk),
      indices: contiguous([b, sQ, width], 4),
    };
  };
  return (_, planSchedule): SparseDecodeProblem => ({
    layout,
    batch: b,
    seqLenQ: sQ,
    numHeadsQ: hQ,
    headDimQk: dQk,
    headDimV: dV,
    softmaxScale: 1 / Math.sqrt(dQk),
    hasAttnSink: false,
    q: contiguous([b, sQ, hQ, dQk], 2),
    main: cache(pageSize, topk, false),
    extra: extraTopk > 0 ? cache(extraPageSize, extraTopk, extraLengths !== null) : undefined,
    plan: planSchedule({
      kind: 'sparse',
      batch: b,
      seqLenQ: sQ,
      numHeadsQ: hQ,
      numHeadsKv: 1,
      headDimQk: dQk,
      headDimV: dV,
      topk,
      extraTopk,
      isFp8: layout !== 'bf16',
      deterministic: false,
    }),
  });
}

/** Strides (block, token) of a cache as the library makes them: model1 blocks are padded. */
function cachePlacement(
  layout: 'v32' | 'model1' | 'bf16',
  blocks: number,
  page: number,
  dQk: number,
): Placement {
  if (layout === 'bf16') return contiguous([blocks, page, dQk], 2);
  const { rowBytes, blockPadding, alignment } = packedRows[layout];
  const block = Math.ceil((page * rowBytes) / blockPadding) * blockPadding;
  return { strides: [blocks > 1 ? block : 0, page > 1 ? rowBytes : 0], alignment };
}

function prefillProblem(options: ProblemOptions): ProblemOn {
  const { sQ, hQ, sKv, hKv, topk, dQk, dV } = sparsePrefill.problem(options, 'gpu');
  return (): SparsePrefillProblem => ({
    seqLenQ: sQ,
    numHeadsQ: hQ,
    seqLenKv: sKv,
    numHeadsKv: hKv,
    headDimQk: dQk,
    headDimV: dV,
    topk,
    smScale: 1 / Math.sqrt(dQk),
    hasTopkLength: false,
    hasAttnSink: false,
    q: contiguous([sQ, hQ, dQk], 2),
    kv: contiguous([sKv, hKv, dQk], 2),
    indices: contiguous([sQ, hKv, topk], 4),
  });
}

function attentionProblem(options: ProblemOptions): ProblemOn {
  const problem = denseAttention.problem(options, 'gpu');
  const { dtype, sQ, hQ, hKv, dQk, dV, causal, lengths } = problem;
  const batch = lengths.length;
  const tokens = lengths.reduce((sum, n) => sum + n, 0);
  return (): DenseAttentionProblem => ({
    dtype,
    batch,
    totalQ: batch * sQ,
    totalK: tokens,
    numHeadsQ: hQ,
    numHeadsKv: hKv,
    headDimQk: dQk,
    headDimV: dV,
    causal,
    softmaxScale: 1 / Math.sqrt(dQk),
    maxSeqlenQ: sQ,
    maxSeqlenK: largest(lengths),
    hasCuSeqlensQ: true,
    keys: 'packed',
    numBlocks: 0,
    pageSize: 0,
    maxBlocks: 0,
    blockTableStride: 0,
    q: contiguous([batch * sQ, hQ, dQk], 2),
    k: contiguous([tokens, hKv, dQk], 2),
    v: contiguous([tokens, hKv, dV], 2),
  });
}

function packProblem(options: ProblemOptions): ProblemOn {
  const { layout, blocks, pageSize } = quantize.problem(options, 'gpu');
  const { headDimQk } = packedRows[layout];
  return (): PackRowsProblem => ({
    layout,
    numBlocks: blocks,
    pageSize,
    headDimQk,
    packed: cachePlacement(layout, blocks, pageSize, headDimQk),
    rows: contiguous([blocks, pageSize, headDimQk], 2),
  });
}

function appendProblem(options: ProblemOptions): ProblemOn {
  const { layout, dtype, rows, hKv, dQk, blocks, pageSize } = append.problem(options, 'gpu');
  const size = dtypeSize(dtype);
  return (): AppendProblem => ({
    layout,
    rowDtype: dtype,
    mostRows: 2 ** Math.ceil(Math.log2(rows)),
    numHeads: hKv,
    columns: dQk,
    slotBytes: 4,
    numBlocks: blocks,
    pageSize,
    rows: contiguous([rows, hKv, dQk], size),
    kCache:
      layout === 'plain'
        ? contiguous([blocks, pageSize, hKv, dQk], size)
        : cachePlacement(layout, blocks, pageSize, dQk),
  });
}

function metadataProblem(options: ProblemOptions): ProblemOn {
  const { sQ, hQ, hKv, lengths } = metadata.problem(options, 'gpu');
  const problem = {
    kind: 'dense',
    batch: lengths.length,
    seqLenQ: sQ,
    numHeadsQ: hQ,
    numHeadsKv: hKv,
    headDimQk: 576,
    headDimV: 512,
    isFp8: false,
    deterministic: false,
  } as const;
  return (_, planSchedule): ComputeScheduleProblem => ({
    problem,
    plan: planSchedule(problem),
    hasTopkLength: false,
    hasExtraTopkLength: false,
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
    operation: 'denseDecode',
    problem: denseProblem,
  },
  {
    name: 'sparse-decode',
    bench: sparseDecode,
    ...sizesOf(sparseDecode),
    operation: 'sparseDecode',
    problem: sparseProblem,
  },
  {
    name: 'sparse-prefill',
    bench: sparsePrefill,
    ...sizesOf(sparsePrefill),
    operation: 'sparsePrefill',
    problem: prefillProblem,
  },
  {
    name: 'dense-attention',
    bench: denseAttention,
    ...sizesOf(denseAttention),
    operation: 'denseAttention',
    problem: attentionProblem,
  },
  {
    name: 'combine',
    bench: denseDecode,
    ...sizesOf(denseDecode),
    operation: 'denseDecode',
    role: 'combine',
    problem: denseProblem,
  },
  {
    name: 'metadata',
    bench: metadata,
    ...sizesOf(metadata),
    operation: 'computeSchedule',
    problem: metadataProblem,
  },
  {
    name: 'quantize',
    bench: quantize,
    ...sizesOf(quantize),
    operation: 'quantizeKvCache',
    problem: packProblem,
  },
  {
    name: 'dequantize',
    ...sizesOf(quantize),
    operation: 'dequantizeKvCache',
    problem: packProblem,
  },
  {
    name: 'append',
    bench: append,
    ...sizesOf(append),
    operation: 'appendKvCache',
    problem: appendProblem,
  },
];

/** By name, in the order of the help. */
export const inspectOperations: ReadonlyMap<string, InspectOperation> = new Map(
  list.map((operation) => [operation.name, operation]),
);
