import type { ScheduleProblem, TensorView } from '../../backends/backend.ts';
import { type Trace, traceLaunches, viewOf } from '../../backends/webgpu/inspect/trace.ts';
import { appendKvCache } from '../../backends/webgpu/launch/append.ts';
import { denseDecode, sparseDecode } from '../../backends/webgpu/launch/decode.ts';
import { denseAttention } from '../../backends/webgpu/launch/dense-attention.ts';
import { sparsePrefill } from '../../backends/webgpu/launch/prefill.ts';
import { dequantizeKvCache, quantizeKvCache } from '../../backends/webgpu/launch/quantize.ts';
import { computeSchedule, planSchedule } from '../../backends/webgpu/launch/schedule.ts';
import type { Capabilities } from '../../backends/webgpu/runtime/limits.ts';
import type { LaunchTarget } from '../../backends/webgpu/runtime/runtime.ts';
import type { DType } from '../../tensor/dtype.ts';
import { packedRows } from '../../tensor/packed-rows.ts';
import type { ProblemOptions } from '../bench/operation.ts';
import { append as appendBench } from '../bench/operations/append.ts';
import { denseAttention as attentionBench } from '../bench/operations/dense-attention.ts';
import { denseDecode as denseBench } from '../bench/operations/dense-decode.ts';
import { metadata as metadataBench } from '../bench/operations/metadata.ts';
import { quantize as quantizeBench } from '../bench/operations/quantize.ts';
import { sparseDecode as sparseBench } from '../bench/operations/sparse-decode.ts';
import { sparsePrefill as prefillBench } from '../bench/operations/sparse-prefill.ts';
import { largest } from '../bench/sizes.ts';

type View = (dtype: DType, ...shape: readonly number[]) => TensorView;
type Launch = (
  options: ProblemOptions,
  view: View,
  capabilities: Capabilities,
) => (target: LaunchTarget) => void;

/** What the operations of `inspect` launch on a device with these capabilities. */
export function traceOperation(
  name: string,
  options: ProblemOptions,
  capabilities: Capabilities,
): Trace {
  const launch = launches[name];
  if (launch === undefined) throw new RangeError(`there is no operation ${name}`);
  const view: View = (dtype, ...shape) => viewOf(capabilities, dtype, shape);
  const trace = traceLaunches(capabilities, launch(options, view, capabilities));
  if (name !== 'combine') return trace;
  const dispatches = trace.dispatches.filter((dispatch) => dispatch.name.startsWith('combine'));
  return { ...trace, dispatches };
}

function scheduleOf(view: View, problem: ScheduleProblem, capabilities: Capabilities) {
  const plan = planSchedule(problem, capabilities);
  return {
    plan,
    metadata: view('i32', plan.numParts, 8),
    numSplits: view('i32', problem.batch + 1),
  };
}

const dense: Launch = (options, view, capabilities) => {
  const { dtype, sQ, hQ, hKv, dQk, dV, pageSize, causal, lengths } = denseBench.problem(
    options,
    'gpu',
  );
  const batch = lengths.length;
  const blocksOf = (tokens: number) => Math.ceil(tokens / pageSize);
  const maxBlocks = blocksOf(largest(lengths));
  const numBlocks = lengths.reduce((sum, tokens) => sum + blocksOf(tokens), 0);
  const problem: ScheduleProblem = {
    ...{ kind: 'dense', batch, seqLenQ: sQ, numHeadsQ: hQ, numHeadsKv: hKv },
    ...{ headDimQk: dQk, headDimV: dV, isFp8: dtype === 'e4m3', deterministic: false },
    maxSeqLenK: maxBlocks * pageSize,
  };
  return (target) =>
    denseDecode(target, {
      q: view(dtype, batch, sQ, hQ, dQk),
      kCache: view(dtype, numBlocks, pageSize, hKv, dQk),
      blockTable: view('i32', batch, maxBlocks),
      seqlens: view('i32', batch),
      headDimV: dV,
      softmaxScale: 1 / Math.sqrt(dQk),
      causal,
      schedule: scheduleOf(view, problem, capabilities),
      out: view(dtype === 'f16' ? 'f16' : 'bf16', batch, sQ, hQ, dV),
      lse: view('f32', batch, hQ, sQ),
    });
};

const sparse: Launch = (options, view, capabilities) => {
  const { layout, b, sQ, hQ, sKv, topk, extraTopk, extraLengths, dQk, dV, ...pages } =
    sparseBench.problem(options, 'gpu');
  const cache = (page: number, width: number) => ({
    kCache: cacheOf(capabilities, layout, b * Math.ceil(sKv / page), page, dQk),
    indices: view('i32', b, sQ, width),
  });
  const problem: ScheduleProblem = {
    ...{ kind: 'sparse', batch: b, seqLenQ: sQ, numHeadsQ: hQ, numHeadsKv: 1 },
    ...{ headDimQk: dQk, headDimV: dV, topk, extraTopk, deterministic: false },
    isFp8: layout !== 'bf16',
  };
  return (target) =>
    sparseDecode(target, {
      layout,
      q: view('bf16', b, sQ, hQ, dQk),
      main: cache(pages.pageSize, topk),
      ...(extraTopk > 0 && {
        extra: {
          ...cache(pages.extraPageSize, extraTopk),
          ...(extraLengths && { topkLength: view('i32', b) }),
        },
      }),
      headDimV: dV,
      softmaxScale: 1 / Math.sqrt(dQk),
      schedule: scheduleOf(view, problem, capabilities),
      out: view('bf16', b, sQ, hQ, dV),
      lse: view('f32', b, hQ, sQ),
    });
};

/** A cache as the library makes it: model1 blocks are padded. */
function cacheOf(
  capabilities: Capabilities,
  layout: 'v32' | 'model1' | 'bf16',
  blocks: number,
  page: number,
  dQk: number,
): TensorView {
  if (layout === 'bf16') return viewOf(capabilities, 'bf16', [blocks, page, 1, dQk]);
  const { rowBytes, blockPadding } = packedRows[layout];
  const block = Math.ceil((page * rowBytes) / blockPadding) * blockPadding;
  const strides = [block, rowBytes, rowBytes, 1];
  return viewOf(capabilities, 'u8', [blocks, page, 1, rowBytes], strides);
}

const prefill: Launch = (options, view) => {
  const { sQ, hQ, sKv, hKv, topk, dQk, dV } = prefillBench.problem(options, 'gpu');
  return (target) =>
    sparsePrefill(target, {
      q: view('bf16', sQ, hQ, dQk),
      kv: view('bf16', sKv, hKv, dQk),
      indices: view('i32', sQ, hKv, topk),
      smScale: 1 / Math.sqrt(dQk),
      headDimV: dV,
      out: view('bf16', sQ, hQ, dV),
      maxLogits: view('f32', sQ, hQ),
      lse: view('f32', sQ, hQ),
    });
};

const attention: Launch = (options, view) => {
  const { dtype, sQ, hQ, hKv, dQk, dV, causal, lengths } = attentionBench.problem(options, 'gpu');
  const batch = lengths.length;
  const tokens = lengths.reduce((sum, n) => sum + n, 0);
  return (target) =>
    denseAttention(target, {
      q: view(dtype, batch * sQ, hQ, dQk),
      k: view(dtype, tokens, hKv, dQk),
      v: view(dtype, tokens, hKv, dV),
      cuSeqlensQ: view('i32', batch + 1),
      cuSeqlensK: view('i32', batch + 1),
      maxSeqlenQ: sQ,
      maxSeqlenK: largest(lengths),
      softmaxScale: 1 / Math.sqrt(dQk),
      causal,
      out: view(dtype, batch * sQ, hQ, dV),
      lse: view('f32', hQ, batch * sQ),
    });
};

const packing =
  (direction: 'quantize' | 'dequantize'): Launch =>
  (options, view, capabilities) => {
    const { layout, blocks, pageSize } = quantizeBench.problem(options, 'gpu');
    const { headDimQk } = packedRows[layout];
    const rows = view('bf16', blocks, pageSize, 1, headDimQk);
    const packed = cacheOf(capabilities, layout, blocks, pageSize, headDimQk);
    return (target) =>
      direction === 'quantize'
        ? quantizeKvCache(target, { layout, source: rows, target: packed })
        : dequantizeKvCache(target, { layout, source: packed, target: rows });
  };

const append: Launch = (options, view, capabilities) => {
  const { layout, dtype, rows, hKv, dQk, blocks, pageSize } = appendBench.problem(options, 'gpu');
  const kCache =
    layout === 'plain'
      ? view(dtype, blocks, pageSize, hKv, dQk)
      : cacheOf(capabilities, layout, blocks, pageSize, dQk);
  return (target) =>
    appendKvCache(target, {
      ...{ layout, kCache },
      rows: view(dtype, rows, hKv, dQk),
      slots: view('i32', rows),
    });
};

const metadata: Launch = (options, view, capabilities) => {
  const { sQ, hQ, hKv, lengths } = metadataBench.problem(options, 'gpu');
  const batch = lengths.length;
  const problem: ScheduleProblem = {
    ...{ kind: 'dense', batch, seqLenQ: sQ, numHeadsQ: hQ, numHeadsKv: hKv },
    ...{ headDimQk: 576, headDimV: 512, isFp8: false, deterministic: false },
  };
  return (target) =>
    computeSchedule(target, {
      problem,
      seqlens: view('i32', batch),
      ...scheduleOf(view, problem, capabilities),
    });
};

const launches: Readonly<Record<string, Launch>> = {
  'dense-decode': dense,
  'sparse-decode': sparse,
  'sparse-prefill': prefill,
  'dense-attention': attention,
  combine: dense,
  metadata,
  quantize: packing('quantize'),
  dequantize: packing('dequantize'),
  append,
};
