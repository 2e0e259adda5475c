import { dtypeSize } from '@flash-mla/core';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { defineWebGpuKernel } from '../../../runtime/webgpu/kernel.ts';
import { type BoundTensor, bindAll } from '../../../runtime/webgpu/launch/bind-all.ts';
import { positionsPerBinding, slicePositions } from '../../../runtime/webgpu/launch/slices.ts';
import { flatGrid, type LaunchTarget } from '../../../runtime/webgpu/runtime/runtime.ts';
import { strideOf } from '../../../runtime/webgpu/runtime/views.ts';
import { type RmsNormArgs, rmsNormOperation } from '../operation.ts';
import { type RmsNormConfig, rmsNormKernel } from './rms-norm-kernel.ts';

/** Some rows at a time where they do not fit a binding. */
function launchRmsNorm(runtime: LaunchTarget, args: RmsNormArgs): void {
  const { x, residual, weight, out, scales } = args;
  const rows = x.shape[0] as number;
  const views = [x, residual, out, scales].filter((view) => view !== undefined);
  const most = Math.min(...views.map((view) => positionsPerBinding(runtime, view)));
  for (let first = 0; first < rows; first += most) {
    const end = Math.min(rows, first + most);
    const slice = <V extends TensorView | undefined>(view: V) =>
      (view && slicePositions(view, first, end)) as V;
    const part = {
      ...args,
      ...{ x: slice(x), residual: slice(residual), out: slice(out), scales: slice(scales) },
    };
    const writes = { out: part.out, residual: part.residual, scales: part.scales };
    bindAll(runtime, { reads: { x: part.x, weight }, writes }, (bound) =>
      dispatch(runtime, part, bound),
    );
  }
}

function dispatch(
  runtime: LaunchTarget,
  args: RmsNormArgs,
  bound: Readonly<Record<string, BoundTensor>>,
): void {
  const { x, residual, weight, out, scales, eps, powerOfTwoScales } = args;
  const [rows, columns] = x.shape as [number, number];
  const start = (name: string) => bound[name]?.start ?? 0;
  const inWords = (name: string, view: TensorView) =>
    [start(name), strideOf(view, 0)].every((n) => (n * dtypeSize(view.dtype)) % 4 === 0);
  const config: RmsNormConfig = {
    x: x.dtype as RmsNormConfig['x'],
    residual: residual?.dtype as RmsNormConfig['residual'],
    weight: weight.dtype as RmsNormConfig['weight'],
    out: out.dtype as RmsNormConfig['out'],
    powerOfTwoScales,
    wholeWords:
      columns % 2 === 0 &&
      inWords('out', out) &&
      (residual === undefined || inWords('residual', residual)),
  };
  runtime.dispatch({
    name: `rms norm ${Object.values(config).join(' ')}`,
    source: () => rmsNormKernel(config),
    config,
    params: {
      ...{ rows, columns, eps },
      ...{ xStart: start('x'), xStride: strideOf(x, 0), weightStart: start('weight') },
      ...{ outStart: start('out'), outStride: strideOf(out, 0) },
      ...(residual && {
        ...{ residualStart: start('residual'), residualStride: strideOf(residual, 0) },
      }),
      ...(scales && { scalesStart: start('scales') }),
    },
    storage: Object.fromEntries(
      Object.entries(bound).map(([name, { resource }]) => [name, resource]),
    ),
    workgroups: flatGrid(rows, runtime.capabilities.workgroupsPerDimension),
  });
}

export const normWebGpuKernels = [
  defineWebGpuKernel({ operation: rmsNormOperation, launch: launchRmsNorm }),
];
