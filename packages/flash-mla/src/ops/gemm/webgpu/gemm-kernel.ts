import {
  type KernelSource,
  kernel,
  type StorageBinding,
} from '../../../runtime/webgpu/wgsl/kernel.ts';
import { encode16 } from '../../../runtime/webgpu/wgsl/numbers.ts';
import { Params } from '../../../runtime/webgpu/wgsl/params.ts';
import {
  decodeE4m3Element,
  type RowDType,
  type RowOutDType,
  rowReader,
  rowWriter,
} from '../../../runtime/webgpu/wgsl/rows.ts';
import { join } from '../../../runtime/webgpu/wgsl/text.ts';
import { weightScaleBlock } from '../limits.ts';

/** What the WGSL depends on. */
export interface GemmConfig {
  /**
   * `few`: a workgroup takes two columns of up to four rows. `tile`: 16 rows and 32 columns. `alone`: an
   * invocation takes two columns of up to four rows, and shares nothing.
   */
  readonly shape: 'few' | 'tile' | 'alone';
  readonly x: RowDType;
  readonly weight: RowOutDType;
  readonly bias: RowDType | undefined;
  /** `out`: what is in the output. */
  readonly residual: RowDType | 'out' | undefined;
  readonly out: RowDType;
  /** Columns that are written come in whole words. */
  readonly wholeWords: boolean;
}

export const fewRows = 4;
export const tileRows = 16;
export const tileColumns = 32;
const tileDepth = 16;
const workgroupSize = 64;
/** Columns of a workgroup of `alone`. */
export const aloneColumns = 2 * workgroupSize;

export function gemmKernel(config: GemmConfig): KernelSource {
  const { shape, x, weight, bias, residual, out, wholeWords } = config;
  const isScaled = weight === 'e4m3';
  const hasResidual = residual !== undefined && residual !== 'out';
  const storage: StorageBinding[] = [
    { name: 'x', access: 'read', element: 'u32' },
    { name: 'weight', access: 'read', element: 'u32' },
  ];
  if (isScaled) storage.push({ name: 'scales', access: 'read', element: 'f32' });
  if (bias) storage.push({ name: 'bias', access: 'read', element: 'u32' });
  if (hasResidual) storage.push({ name: 'residual', access: 'read', element: 'u32' });
  const written = wholeWords ? 'u32' : 'atomic<u32>';
  storage.push({ name: 'out', access: 'read_write', element: written });
  return kernel(
    `gemm ${shape} ${x} by ${weight} to ${out}`,
    new Params({
      ...{ rows: 'u32', columns: 'u32', depth: 'u32', firstColumn: 'u32', scale: 'f32' },
      ...{ xStart: 'u32', xStride: 'u32', xBatch: 'u32' },
      ...{ weightStart: 'u32', weightColumn: 'u32', weightDepth: 'u32', weightBatch: 'u32' },
      ...(isScaled && { scalesStart: 'u32', scalesStride: 'u32' }),
      ...(bias && { biasStart: 'u32' }),
      ...(hasResidual && { residualStart: 'u32', residualStride: 'u32', residualBatch: 'u32' }),
      ...{ outStart: 'u32', outStride: 'u32', outBatch: 'u32' },
    }),
    storage,
    join(
      encode16,
      isScaled && decodeE4m3Element,
      rowReader('x', x),
      rowReader('weight', weight),
      bias && rowReader('bias', bias),
      hasResidual && rowReader('residual', residual),
      residual === 'out' && rowReader('out', out, !wholeWords),
      rowWriter('out', out, !wholeWords),
      weightAt(isScaled),
      finish(config),
      { few, tile, alone }[shape],
    ),
  );
}

/** `weightAt(matrix, column, k)`: a weight times its scale. */
const weightAt = (isScaled: boolean) => `
fn weightAt(matrix: u32, column: u32, k: u32) -> f32 {
  let value = readWeight(matrix + column * params.weightColumn + k * params.weightDepth);
  ${
    isScaled
      ? `let row = (params.firstColumn + column) / ${weightScaleBlock}u;
         return value * scales[params.scalesStart + row * params.scalesStride + k / ${weightScaleBlock}u];`
      : 'return value;'
  }
}`;

/** `finish(row, batch, column, sums)`: two neighbouring columns of the result. */
function finish({ bias, residual, wholeWords }: GemmConfig): string {
  const value = (column: string, sum: string) => {
    const biased = bias
      ? `(${sum} + readBias(params.biasStart + params.firstColumn + ${column}))`
      : sum;
    const added =
      residual === undefined
        ? ''
        : residual === 'out'
          ? ` + readOut(place + ${column})`
          : ` + readResidual(residualPlace + ${column})`;
    return `params.scale * ${biased}${added}`;
  };
  return `
fn finish(row: u32, batch: u32, column: u32, sums: vec2<f32>) {
  let place = params.outStart + row * params.outStride + batch * params.outBatch;
  ${
    residual !== undefined && residual !== 'out'
      ? 'let residualPlace = params.residualStart + row * params.residualStride + batch * params.residualBatch;'
      : ''
  }
  ${
    wholeWords
      ? `writeOutPair(place + column, vec2(${value('column', 'sums.x')}, ${value('column + 1u', 'sums.y')}));`
      : `writeOut(place + column, ${value('column', 'sums.x')});
         if (column + 1u < params.columns) { writeOut(place + column + 1u, ${value('column + 1u', 'sums.y')}); }`
  }
}`;
}

const few = `
var<workgroup> partial: array<vec2<f32>, ${workgroupSize * fewRows}>;

@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let column = 2u * (workgroup.x + workgroup.y * workgroups.x);
  if (column >= params.columns) { return; }
  let second = min(column + 1u, params.columns - 1u);
  let batch = workgroup.z;
  let matrix = params.weightStart + batch * params.weightBatch;
  let source = params.xStart + batch * params.xBatch;
  var sums: array<vec2<f32>, ${fewRows}>;
  for (var k = thread; k < params.depth; k += ${workgroupSize}u) {
    let weights = vec2(weightAt(matrix, column, k), weightAt(matrix, second, k));
    for (var row = 0u; row < params.rows; row++) {
      sums[row] += readX(source + row * params.xStride + k) * weights;
    }
  }
  for (var row = 0u; row < ${fewRows}u; row++) { partial[row * ${workgroupSize}u + thread] = sums[row]; }
  workgroupBarrier();
  for (var half = ${workgroupSize / 2}u; half > 0u; half /= 2u) {
    if (thread < half) {
      for (var row = 0u; row < params.rows; row++) {
        let at = row * ${workgroupSize}u + thread;
        partial[at] += partial[at + half];
      }
    }
    workgroupBarrier();
  }
  if (thread < params.rows) { finish(thread, batch, column, partial[thread * ${workgroupSize}u]); }
}`;

const alone = `
@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let column = workgroup.x * ${aloneColumns}u + 2u * thread;
  let firstRow = workgroup.y * ${fewRows}u;
  if (column >= params.columns) { return; }
  let second = min(column + 1u, params.columns - 1u);
  let batch = workgroup.z;
  let rows = min(${fewRows}u, params.rows - firstRow);
  let matrix = params.weightStart + batch * params.weightBatch;
  let source = params.xStart + batch * params.xBatch + firstRow * params.xStride;
  var sums: array<vec2<f32>, ${fewRows}>;
  for (var k = 0u; k < params.depth; k++) {
    let weights = vec2(weightAt(matrix, column, k), weightAt(matrix, second, k));
    for (var row = 0u; row < rows; row++) {
      sums[row] += readX(source + row * params.xStride + k) * weights;
    }
  }
  for (var row = 0u; row < rows; row++) { finish(firstRow + row, batch, column, sums[row]); }
}`;

/** An invocation computes two rows of four columns. */
const tile = `
var<workgroup> xTile: array<f32, ${tileRows * tileDepth}>;
var<workgroup> weightTile: array<f32, ${tileColumns * tileDepth}>;

@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let firstRow = workgroup.y * ${tileRows}u;
  let firstColumn = workgroup.x * ${tileColumns}u;
  let batch = workgroup.z;
  let matrix = params.weightStart + batch * params.weightBatch;
  let source = params.xStart + batch * params.xBatch;
  let row = (thread / 8u) * 2u;
  let column = (thread % 8u) * 4u;
  var sums: array<vec4<f32>, 2>;
  for (var begin = 0u; begin < params.depth; begin += ${tileDepth}u) {
    for (var i = thread; i < ${tileRows * tileDepth}u; i += ${workgroupSize}u) {
      let r = firstRow + i / ${tileDepth}u;
      let k = begin + i % ${tileDepth}u;
      var value = 0.0;
      if (r < params.rows && k < params.depth) { value = readX(source + r * params.xStride + k); }
      xTile[i] = value;
    }
    for (var i = thread; i < ${tileColumns * tileDepth}u; i += ${workgroupSize}u) {
      let c = firstColumn + i / ${tileDepth}u;
      let k = begin + i % ${tileDepth}u;
      var value = 0.0;
      if (c < params.columns && k < params.depth) { value = weightAt(matrix, c, k); }
      weightTile[i] = value;
    }
    workgroupBarrier();
    for (var k = 0u; k < ${tileDepth}u; k++) {
      let at = column * ${tileDepth}u + k;
      let weights = vec4(
        weightTile[at],
        weightTile[at + ${tileDepth}u],
        weightTile[at + ${2 * tileDepth}u],
        weightTile[at + ${3 * tileDepth}u],
      );
      sums[0] += xTile[row * ${tileDepth}u + k] * weights;
      sums[1] += xTile[(row + 1u) * ${tileDepth}u + k] * weights;
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 2u; i++) {
    let r = firstRow + row + i;
    if (r >= params.rows) { break; }
    let c = firstColumn + column;
    if (c < params.columns) { finish(r, batch, c, sums[i].xy); }
    if (c + 2u < params.columns) { finish(r, batch, c + 2u, sums[i].zw); }
  }
}`;
