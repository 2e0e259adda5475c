import {
  type KernelSource,
  kernel,
  type StorageBinding,
} from '../../../runtime/webgpu/wgsl/kernel.ts';
import { Params } from '../../../runtime/webgpu/wgsl/params.ts';
import { rowKernel } from '../../../runtime/webgpu/wgsl/row-kernel.ts';
import {
  decodeE4m3Element,
  type RowDType,
  type RowOutDType,
  rowReader,
} from '../../../runtime/webgpu/wgsl/rows.ts';
import { join } from '../../../runtime/webgpu/wgsl/text.ts';

import { weightScaleBlock } from '../limits.ts';

/** What the WGSL of a product of experts depends on. */
export interface ProductConfig {
  /** `up`: silu(gate) · up of rows. `down`: activations times weights. */
  readonly role: 'up' | 'down';
  readonly x: RowDType;
  readonly weight: RowOutDType;
  /** A workgroup takes a column, else each of its invocations one. */
  readonly shares: boolean;
}

const workgroupSize = 64;

/** Columns that a workgroup of {@link productKernel} takes. */
export const columnsOf = ({ shares }: ProductConfig) => (shares ? 1 : workgroupSize);

/** A column of a pair: a row and one of its experts, if it is among those bound. */
export function productKernel({ role, x, weight, shares }: ProductConfig): KernelSource {
  const isScaled = weight === 'e4m3';
  const isUp = role === 'up';
  const storage: StorageBinding[] = [
    { name: 'x', access: 'read', element: 'u32' },
    { name: 'weight', access: 'read', element: 'u32' },
    { name: 'experts', access: 'read', element: 'u32' },
  ];
  if (isScaled) storage.push({ name: 'scales', access: 'read', element: 'f32' });
  storage.push({ name: 'out', access: 'read_write', element: 'f32' });
  const sum = isUp ? 'vec2<f32>' : 'f32';
  return kernel(
    `experts ${role} ${x} by ${weight}`,
    new Params({
      ...{ pairs: 'u32', pairsPerRow: 'u32', columns: 'u32', depth: 'u32' },
      ...{ xStart: 'u32', xStride: 'u32', expertsStart: 'u32', outStart: 'u32' },
      ...{ firstExpert: 'u32', boundExperts: 'u32' },
      ...{ weightStart: 'u32', weightStride: 'u32', weightExpert: 'u32' },
      ...(isScaled && { scalesStart: 'u32', scalesStride: 'u32', scalesExpert: 'u32' }),
    }),
    storage,
    join(
      isScaled && decodeE4m3Element,
      rowReader('x', x),
      rowReader('weight', weight),
      shares && `var<workgroup> partial: array<${sum}, ${workgroupSize}>;`,
      `fn weightAt(expert: u32, row: u32, k: u32) -> f32 {
        let value = readWeight(params.weightStart + expert * params.weightExpert + row * params.weightStride + k);
        ${
          isScaled
            ? `let matrix = params.scalesStart + (params.firstExpert + expert) * params.scalesExpert;
               return value * scales[matrix + row / ${weightScaleBlock}u * params.scalesStride + k / ${weightScaleBlock}u];`
            : 'return value;'
        }
      }

      @compute @workgroup_size(${workgroupSize})
      fn main(
        @builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(local_invocation_index) thread: u32,
      ) {
        let column = ${shares ? 'workgroup.x' : `workgroup.x * ${workgroupSize}u + thread`};
        ${shares ? '' : 'if (column >= params.columns) { return; }'}
        let pair = workgroup.y;
        // What is no expert, or below the first one, is large as an unsigned number.
        let expert = experts[params.expertsStart + pair] - params.firstExpert;
        if (expert >= params.boundExperts) { return; }
        let row = params.xStart + pair / params.pairsPerRow * params.xStride;
        var sum = ${sum}(0.0);
        for (var k = ${shares ? 'thread' : '0u'}; k < params.depth; k += ${shares ? workgroupSize : 1}u) {
          sum += readX(row + k) * ${isUp ? 'vec2(weightAt(expert, column, k), weightAt(expert, params.columns + column, k))' : 'weightAt(expert, column, k)'};
        }
        ${shares ? sharedSum : 'let total = sum;'}
        out[params.outStart + pair * params.columns + column] = ${isUp ? 'total.x / (1.0 + exp(-total.x)) * total.y' : 'total'};
      }`,
    ),
  );
}

const sharedSum = `
        partial[thread] = sum;
        workgroupBarrier();
        for (var half = ${workgroupSize / 2}u; half > 0u; half /= 2u) {
          if (thread < half) { partial[thread] += partial[thread + half]; }
          workgroupBarrier();
        }
        if (thread > 0u) { return; }
        let total = partial[0];`;

/** What the WGSL of the sums depends on. */
export interface CombineConfig {
  readonly topK: number;
  readonly out: RowDType;
  /** `out`: what is in the output. */
  readonly residual: RowDType | 'out' | undefined;
  readonly wholeWords: boolean;
}

/** Adds the weighted results of a row's experts, in their order. */
export function combineKernel({ topK, out, residual, wholeWords }: CombineConfig): KernelSource {
  const own = residual === 'out' ? undefined : residual;
  const start =
    residual === undefined
      ? () => '0.0'
      : own
        ? (column: string) =>
            `readResidual(params.residualStart + row * params.residualStride + ${column})`
        : (column: string) => `readOut(outRow + ${column})`;
  const source = rowKernel({
    name: `combine experts to ${out}`,
    params: {
      ...{ experts: 'u32', expertsStart: 'u32', weightsStart: 'u32', partsStart: 'u32' },
      ...(own && { residualStart: 'u32', residualStride: 'u32' }),
    },
    reads: own ? { residual: own } : {},
    storage: [
      { name: 'ids', access: 'read', element: 'u32' },
      { name: 'weights', access: 'read', element: 'f32' },
      { name: 'parts', access: 'read', element: 'f32' },
    ],
    ...{ out, wholeWords, readsOut: residual === 'out' },
    value: (column) => `combined(row, ${column}, ${start(column)})`,
  });
  const combined = `
fn combined(row: u32, column: u32, start: f32) -> f32 {
  var sum = start;
  for (var i = 0u; i < ${topK}u; i++) {
    let pair = row * ${topK}u + i;
    if (ids[params.expertsStart + pair] >= params.experts) { continue; }
    sum += weights[params.weightsStart + pair] * parts[params.partsStart + pair * params.columns + column];
  }
  return sum;
}
`;
  return { ...source, wgsl: `${source.wgsl}${combined}` };
}
