import {
  type KernelSource,
  kernel,
  type StorageBinding,
} from '../../../runtime/webgpu/wgsl/kernel.ts';
import { encode16 } from '../../../runtime/webgpu/wgsl/numbers.ts';
import { Params } from '../../../runtime/webgpu/wgsl/params.ts';
import {
  encodeE4m3,
  type RowDType,
  type RowOutDType,
  rowReader,
  rowWriter,
} from '../../../runtime/webgpu/wgsl/rows.ts';
import { join } from '../../../runtime/webgpu/wgsl/text.ts';
import { largestE4m3, leastMagnitude, scaleColumns } from '../limits.ts';

/** What the WGSL of RMSNorm depends on. */
export interface RmsNormConfig {
  readonly x: RowDType;
  readonly residual: RowDType | undefined;
  readonly weight: RowDType;
  readonly out: RowOutDType;
  readonly powerOfTwoScales: boolean;
  /** Rows that are written begin at words and have whole words. */
  readonly wholeWords: boolean;
}

/** A workgroup takes a row. */
export const workgroupSize = 64;

export function rmsNormKernel(config: RmsNormConfig): KernelSource {
  const { x, residual, weight, out, wholeWords } = config;
  const written = wholeWords ? 'u32' : 'atomic<u32>';
  const storage: StorageBinding[] = [
    { name: 'x', access: 'read', element: 'u32' },
    { name: 'weight', access: 'read', element: 'u32' },
    { name: 'out', access: 'read_write', element: written },
    ...(residual ? [{ name: 'residual', access: 'read_write', element: written } as const] : []),
    ...(out === 'e4m3' ? [{ name: 'scales', access: 'read_write', element: 'f32' } as const] : []),
  ];
  return kernel(
    `rms norm ${x} to ${out}`,
    new Params({
      ...{ rows: 'u32', columns: 'u32', eps: 'f32' },
      ...{ xStart: 'u32', xStride: 'u32', weightStart: 'u32', outStart: 'u32', outStride: 'u32' },
      ...(residual && { residualStart: 'u32', residualStride: 'u32' }),
      ...(out === 'e4m3' && { scalesStart: 'u32' }),
    }),
    storage,
    join(
      encode16,
      out === 'e4m3' && encodeE4m3,
      rowReader('x', x),
      rowReader('weight', weight),
      residual && rowReader('residual', residual, !wholeWords),
      residual && rowWriter('residual', residual, !wholeWords),
      rowWriter('out', out, !wholeWords),
      main(config),
    ),
  );
}

function main({ residual, out, powerOfTwoScales, wholeWords }: RmsNormConfig): string {
  // What is normed: of a sum, what was stored of it.
  const valueAt = (column: string) =>
    residual ? `readResidual(residualRow + ${column})` : `readX(xRow + ${column})`;
  const normed = (column: string) =>
    `${valueAt(column)} * scale * readWeight(params.weightStart + ${column})`;
  const sum = (column: string) => `readX(xRow + ${column}) + readResidual(residualRow + ${column})`;
  return `
    var<workgroup> partial: array<f32, ${workgroupSize}>;

    @compute @workgroup_size(${workgroupSize})
    fn main(
      @builtin(workgroup_id) workgroup: vec3<u32>,
      @builtin(num_workgroups) workgroups: vec3<u32>,
      @builtin(local_invocation_index) thread: u32,
    ) {
      let row = workgroup.x + workgroup.y * workgroups.x;
      if (row >= params.rows) { return; }
      let xRow = params.xStart + row * params.xStride;
      let outRow = params.outStart + row * params.outStride;
      ${residual ? 'let residualRow = params.residualStart + row * params.residualStride;' : ''}
      ${residual ? `${writeColumns('Residual', 'residualRow', wholeWords, sum)} storageBarrier();` : ''}
      var squares = 0.0;
      for (var column = thread; column < params.columns; column += ${workgroupSize}u) {
        let value = ${valueAt('column')};
        squares += value * value;
      }
      partial[thread] = squares;
      workgroupBarrier();
      for (var half = ${workgroupSize / 2}u; half > 0u; half /= 2u) {
        if (thread < half) { partial[thread] += partial[thread + half]; }
        workgroupBarrier();
      }
      let scale = inverseSqrt(partial[0] / f32(params.columns) + params.eps);
      ${out === 'e4m3' ? quantize(normed('column'), powerOfTwoScales) : writeColumns('Out', 'outRow', wholeWords, normed)}
    }`;
}

/** Writes all columns of a row; an invocation writes two that share a word where words are whole. */
function writeColumns(
  name: string,
  row: string,
  wholeWords: boolean,
  value: (column: string) => string,
): string {
  const step = wholeWords ? 2 : 1;
  const values = wholeWords ? `vec2(${value('column')}, ${value('column + 1u')})` : value('column');
  return `
    for (var column = thread * ${step}u; column < params.columns; column += ${step * workgroupSize}u) {
      write${name}${wholeWords ? 'Pair' : ''}(${row} + column, ${values});
    }`;
}

/** An invocation takes the 128 columns of a scale: once for the largest, once to encode. */
function quantize(normed: string, powerOfTwoScales: boolean): string {
  const raised = 'divisor = bitcast<f32>((bitcast<u32>(divisor) + 0x7fffffu) & 0xff800000u);';
  return `
    let groups = params.columns / ${scaleColumns}u;
    for (var group = thread; group < groups; group += ${workgroupSize}u) {
      let begin = group * ${scaleColumns}u;
      var largest = ${leastMagnitude};
      for (var column = begin; column < begin + ${scaleColumns}u; column++) {
        largest = max(largest, abs(${normed}));
      }
      var divisor = largest / ${largestE4m3}.0;
      ${powerOfTwoScales ? raised : ''}
      scales[params.scalesStart + row * groups + group] = divisor;
      for (var i = 0u; i < ${scaleColumns}u; i += 4u) {
        var word = 0u;
        for (var j = 0u; j < 4u; j++) {
          let column = begin + i + j;
          word |= e4m3Code((${normed}) / divisor) << (8u * j);
        }
        writeOutWord(outRow + begin + i, word);
      }
    }`;
}
