import type { TensorView } from '../../../runtime/tensor/view.ts';
import { defineWebGpuKernel } from '../../../runtime/webgpu/kernel.ts';
import { type BoundTensor, bindAll } from '../../../runtime/webgpu/launch/bind-all.ts';
import { eachRows, hasWholeWords, resourcesOf } from '../../../runtime/webgpu/launch/rows.ts';
import { flatGrid, type LaunchTarget } from '../../../runtime/webgpu/runtime/runtime.ts';
import { strideOf } from '../../../runtime/webgpu/runtime/views.ts';
import { rowKernel } from '../../../runtime/webgpu/wgsl/row-kernel.ts';
import type { RowDType } from '../../../runtime/webgpu/wgsl/rows.ts';
import { addScaledOperation, swiGluOperation } from '../operation.ts';

interface Elements {
  readonly x: TensorView;
  readonly out: TensorView;
}

const xParams = { xStart: 'u32', xStride: 'u32' } as const;
const xAt = (column: string) => `readX(params.xStart + row * params.xStride + ${column})`;
const gate = 'fn silu(g: f32) -> f32 { return g / (1.0 + exp(-g)); }';

function swiGluKernel(x: RowDType, out: RowDType, wholeWords: boolean) {
  const source = rowKernel({
    name: `swi glu ${x} to ${out}`,
    ...{ params: xParams, reads: { x }, out, wholeWords },
    value: (column) => `silu(${xAt(column)}) * ${xAt(`params.columns + ${column}`)}`,
  });
  return { ...source, wgsl: `${source.wgsl}${gate}\n` };
}

const addScaledKernel = (x: RowDType, out: RowDType, wholeWords: boolean) =>
  rowKernel({
    name: `add scaled ${x} to ${out}`,
    params: { ...xParams, scale: 'f32' },
    ...{ reads: { x }, out, wholeWords, readsOut: true },
    value: (column) => `readOut(outRow + ${column}) + params.scale * ${xAt(column)}`,
  });

/** Dispatches some rows. */
function dispatch(
  runtime: LaunchTarget,
  name: string,
  { x, out }: Elements,
  bound: Readonly<Record<string, BoundTensor>>,
  kernel: typeof addScaledKernel,
  more: Readonly<Record<string, number>> = {},
): void {
  const [rows, columns] = out.shape as [number, number];
  const wholeWords = hasWholeWords(out, bound.out, columns);
  const [from, to] = [x.dtype as RowDType, out.dtype as RowDType];
  const config = { x: from, out: to, wholeWords };
  runtime.dispatch({
    name: `${name} ${Object.values(config).join(' ')}`,
    ...{ source: () => kernel(from, to, wholeWords), config },
    params: {
      ...{ rows, columns, ...more },
      ...{ xStart: bound.x?.start ?? 0, xStride: strideOf(x, 0) },
      ...{ outStart: bound.out?.start ?? 0, outStride: strideOf(out, 0) },
    },
    storage: resourcesOf(bound),
    workgroups: flatGrid(rows, runtime.capabilities.workgroupsPerDimension),
  });
}

export const activationWebGpuKernels = [
  defineWebGpuKernel({
    operation: swiGluOperation,
    launch: (runtime, { x, out }) =>
      eachRows(runtime, { x, out }, (part) =>
        bindAll(runtime, { reads: { x: part.x }, writes: { out: part.out } }, (bound) =>
          dispatch(runtime, 'swi glu', part, bound, swiGluKernel),
        ),
      ),
  }),
  defineWebGpuKernel({
    operation: addScaledOperation,
    launch: (runtime, { x, target, scale }) =>
      eachRows(runtime, { x, out: target }, (part) =>
        bindAll(runtime, { reads: { x: part.x }, writes: { out: part.out } }, (bound) =>
          dispatch(runtime, 'add scaled', part, bound, addScaledKernel, { scale }),
        ),
      ),
  }),
];
