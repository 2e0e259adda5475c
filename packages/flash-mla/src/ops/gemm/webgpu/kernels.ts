import { dtypeSize } from '@flash-mla/core';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { defineWebGpuKernel } from '../../../runtime/webgpu/kernel.ts';
import { type BoundTensor, bindAll } from '../../../runtime/webgpu/launch/bind-all.ts';
import { resourcesOf } from '../../../runtime/webgpu/launch/rows.ts';
import { flatGrid, type LaunchTarget } from '../../../runtime/webgpu/runtime/runtime.ts';
import { rangeOf, strideOf } from '../../../runtime/webgpu/runtime/views.ts';
import type { RowDType, RowOutDType } from '../../../runtime/webgpu/wgsl/rows.ts';
import { type GemmArgs, gemmOperation, gemmSizes } from '../operation.ts';
import {
  aloneColumns,
  fewRows,
  type GemmConfig,
  gemmKernel,
  tileColumns,
  tileRows,
} from './gemm-kernel.ts';

/** Entries `first` to `end` along a dimension. */
function slice(view: TensorView, dimension: number, first: number, end: number): TensorView {
  const { buffer, dtype, strides } = view;
  const shape = view.shape.map((n, d) => (d === dimension ? end - first : n));
  const byteOffset = view.byteOffset + first * strideOf(view, dimension) * dtypeSize(dtype);
  return { buffer, dtype, strides, shape, byteOffset };
}

/** Entries along a dimension whose bytes fit a binding: a multiple of `unit`, at least that. */
function fitting(runtime: LaunchTarget, view: TensorView, dimension: number, unit = 1): number {
  const { bindingBytes, offsetAlignment } = runtime.capabilities;
  const room = bindingBytes - 2 * offsetAlignment;
  const whole = rangeOf(view);
  const extent = view.shape[dimension] as number;
  if (whole.end - whole.begin <= room) return extent;
  const one = rangeOf(slice(view, dimension, 0, 1));
  const step = strideOf(view, dimension) * dtypeSize(view.dtype);
  const count = 1 + Math.floor(Math.max(0, room - (one.end - one.begin)) / Math.max(1, step));
  return Math.max(unit, Math.floor(count / unit) * unit);
}

/** In parts where the matrices, their columns or the rows do not fit a binding. */
function launchGemm(runtime: LaunchTarget, args: GemmArgs): void {
  const { x, weight, residual, out, transposed } = args;
  const columnsAt = transposed ? 2 : 1;
  const { rows, batch, columns } = gemmSizes(args);
  const most = {
    batch: Math.min(fitting(runtime, weight, 0), runtime.capabilities.workgroupsPerDimension),
    // Two columns of the result share a word.
    columns: fitting(runtime, slice(weight, 0, 0, 1), columnsAt, 2),
    rows: Math.min(fitting(runtime, x, 0), fitting(runtime, out, 0)),
  };
  for (let b = 0; b < batch; b += most.batch) {
    const endBatch = Math.min(batch, b + most.batch);
    for (let c = 0; c < columns; c += most.columns) {
      const endColumn = Math.min(columns, c + most.columns);
      for (let r = 0; r < rows; r += most.rows) {
        const end = Math.min(rows, r + most.rows);
        const ofOut = (view: TensorView) =>
          slice(slice(slice(view, 0, r, end), 1, b, endBatch), 2, c, endColumn);
        launchPart(runtime, c, {
          ...args,
          x: slice(slice(x, 0, r, end), 1, b, endBatch),
          weight: slice(slice(weight, 0, b, endBatch), columnsAt, c, endColumn),
          residual: residual && ofOut(residual),
          out: ofOut(out),
        });
      }
    }
  }
}

const isSame = (a: TensorView, b: TensorView) =>
  a.buffer === b.buffer &&
  a.byteOffset === b.byteOffset &&
  a.dtype === b.dtype &&
  [0, 1].every((d) => strideOf(a, d) === strideOf(b, d));

function launchPart(runtime: LaunchTarget, firstColumn: number, args: GemmArgs): void {
  const { x, weight, weightScales, bias, residual, out } = args;
  const own = residual && isSame(residual, out) ? undefined : residual;
  const reads = { x, weight, scales: weightScales, bias, residual: own };
  bindAll(runtime, { reads, writes: { out } }, (bound) =>
    dispatch(runtime, firstColumn, { ...args, residual: own }, residual !== undefined, bound),
  );
}

function dispatch(
  runtime: LaunchTarget,
  firstColumn: number,
  args: GemmArgs,
  hasResidual: boolean,
  bound: Readonly<Record<string, BoundTensor>>,
): void {
  const { x, weight, transposed, weightScales, bias, residual, scale, out } = args;
  const { rows, batch, columns, depth } = gemmSizes(args);
  const start = (name: string) => bound[name]?.start ?? 0;
  const counts = [start('out'), strideOf(out, 0), strideOf(out, 1)];
  const config: GemmConfig = {
    shape: shapeOf(runtime, args),
    x: x.dtype as RowDType,
    weight: weight.dtype as RowOutDType,
    bias: bias?.dtype as RowDType | undefined,
    residual: hasResidual ? ((residual?.dtype as RowDType | undefined) ?? 'out') : undefined,
    out: out.dtype as RowDType,
    wholeWords: columns % 2 === 0 && counts.every((n) => (n * dtypeSize(out.dtype)) % 4 === 0),
  };
  const most = runtime.capabilities.workgroupsPerDimension;
  const [gridX, gridY] = {
    few: () => flatGrid(Math.ceil(columns / 2), most),
    tile: () => [Math.ceil(columns / tileColumns), Math.ceil(rows / tileRows)],
    alone: () => [Math.ceil(columns / aloneColumns), Math.ceil(rows / fewRows)],
  }[config.shape]();
  runtime.dispatch({
    name: `gemm ${Object.values(config).join(' ')}`,
    ...{ source: () => gemmKernel(config), config },
    params: {
      ...{ rows, columns, depth, firstColumn, scale },
      ...{ xStart: start('x'), xStride: strideOf(x, 0), xBatch: strideOf(x, 1) },
      ...{ weightStart: start('weight'), weightBatch: strideOf(weight, 0) },
      weightColumn: transposed ? 1 : strideOf(weight, 1),
      weightDepth: transposed ? strideOf(weight, 1) : 1,
      ...(weightScales && {
        ...{ scalesStart: start('scales'), scalesStride: strideOf(weightScales, 0) },
      }),
      ...(bias && { biasStart: start('bias') }),
      ...(residual && {
        residualStart: start('residual'),
        ...{ residualStride: strideOf(residual, 0), residualBatch: strideOf(residual, 1) },
      }),
      ...{ outStart: start('out'), outStride: strideOf(out, 0), outBatch: strideOf(out, 1) },
    },
    storage: resourcesOf(bound),
    workgroups: [gridX as number, gridY as number, batch],
  });
}

function shapeOf(
  { capabilities: { tuning } }: LaunchTarget,
  { x, transposed }: GemmArgs,
): GemmConfig['shape'] {
  if (!tuning.sharesProducts) return 'alone';
  return (x.shape[0] as number) <= fewRows && !transposed ? 'few' : 'tile';
}

/** Products on WebGPU. */
export const gemmWebGpuKernels = [
  defineWebGpuKernel({ operation: gemmOperation, launch: launchGemm }),
];
