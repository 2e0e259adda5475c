/** x · weightᵀ for each matrix of a batch, with bias, factor and residual; see src/ops/gemm. */

import { decodeE4m3 } from '../decode/e4m3';
import { encodeBf16, packBf16 } from '../encode';
import { loadElement, loadRow, sizeOf } from '../elements';
import { BF16, E4M3, F32 } from '../generated/commands';
import { Gemm } from '../generated/gemm';
import { dot1x4, dot3x4, outer1x1, outer3x16 } from './dot';
import { dotsOf, JOB_BYTES, multipliesNatively, productsOf, TILE_ROWS } from './native';
import { multipliesWeights, timesWeights } from './scaled';

/** Rows and columns that share a scale of e4m3 weights. */
const SCALE_BLOCK: i32 = 128;
/** Rows that are multiplied with a block of weights straight from memory. */
const FEW_ROWS: i32 = 3;

export function gemm(command: Gemm): void {
  const rows = command.numRows;
  const columns = command.columns;
  const depth = command.depth;
  const rowBlock = command.rowBlock;
  const weightBlock = command.weightBlock;
  const columnBlock = command.columnBlock;
  const x = command.x;
  const weightType = command.weight.type;
  const weightStride = command.weight.stride;
  const rowBytes = <usize>((depth + 7) & ~7) << 2;
  const job = command.scratch(command.scratchBytes);
  const sums = job + JOB_BYTES;
  const sumsStride = <usize>columnBlock << 2;
  const xBlock = sums + <usize>rowBlock * sumsStride;
  const wBlock = xBlock + <usize>rowBlock * rowBytes;
  const rowBlocks = (rows + rowBlock - 1) / rowBlock;
  const columnBlocks = (columns + columnBlock - 1) / columnBlock;
  const decodesWeights = weightType == E4M3 || (weightType == BF16 && rows > FEW_ROWS);
  const byTiles = command.byTiles;
  let decoded = -1;
  const items = command.batch * rowBlocks * columnBlocks;
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    const part = item / columnBlocks;
    const b = <usize>(part / rowBlocks);
    const firstRow = (part % rowBlocks) * rowBlock;
    const count = min(rowBlock, rows - firstRow);
    const from = x.address + b * command.xBatchStride + <usize>firstRow * x.stride;
    const isNew = decoded != part;
    if (isNew && !byTiles) loadRows(x.type, xBlock, rowBytes, from, x.stride, count, depth);
    decoded = part;
    const weights = command.weight.address + b * command.weightBatchStride;
    // Where machine code finds them.
    const far = command.weightBase + <i64>weights;
    const begin = (item % columnBlocks) * columnBlock;
    const end = min(columns, begin + columnBlock);
    if (byTiles) {
      // Fewer columns than a tile has: together with some before them.
      const more = max(0, TILE_ROWS - (end - begin));
      const block = far + <i64>(<usize>(begin - more) * weightStride);
      const width = end - begin + more;
      productsOf(
        job, from, x.stride, count, block, weightStride, width, depth, xBlock, isNew, sums, sumsStride,
      );
      for (let row = 0; row < count; row++) {
        const at = sums + <usize>row * sumsStride + (<usize>more << 2);
        finish(command, at, end - begin, begin, firstRow + row, b);
      }
      continue;
    }
    if (command.transposed) {
      for (let column = begin; column < end; column += 16) {
        const block = weights + <usize>column * sizeOf(weightType);
        const width = min(16, end - column);
        for (let row = 0; row < count; row += 3) {
          const from = xBlock + <usize>row * rowBytes;
          outer(weightType, from, rowBytes, min(3, count - row), block, weightStride, width, depth, sums);
          for (let i = 0; i < min(3, count - row); i++) {
            finish(command, sums + (<usize>i << 6), width, column, firstRow + row + i, b);
          }
        }
      }
      continue;
    }
    if (multipliesWeights(weightType, depth)) {
      const block = far + <i64>(<usize>begin * weightStride);
      const width = end - begin;
      const scales = command.scalesBase + <i64>command.scales;
      timesWeights(
        job, weightType, xBlock, rowBytes, count, block, weightStride, begin, width, depth,
        scales, command.scalesStride, sums, sumsStride,
      );
      for (let row = 0; row < count; row++) {
        const from = sums + <usize>row * sumsStride;
        finish(command, from, width, begin, firstRow + row, b);
      }
      continue;
    }
    for (let column = begin; column < end; column += weightBlock) {
      const width = min(weightBlock, end - column);
      let block = weights + <usize>column * weightStride;
      let stride = weightStride;
      let type = weightType;
      if (decodesWeights || width % 4 != 0) {
        const scales = command.scales;
        const scalesStride = command.scalesStride;
        loadWeights(weightType, wBlock, rowBytes, block, stride, column, width, depth, scales, scalesStride);
        block = wBlock;
        stride = rowBytes;
        type = F32;
      }
      if (multipliesNatively(type, depth)) {
        dotsOf(job, type, xBlock, rowBytes, count, <i64>block, stride, width, depth, sums, sumsStride);
        for (let row = 0; row < count; row++) {
          const from = sums + <usize>row * sumsStride;
          finish(command, from, width, column, firstRow + row, b);
        }
        continue;
      }
      for (let row = 0; row < count; row += 3) {
        const from = xBlock + <usize>row * rowBytes;
        const height = min(3, count - row);
        for (let c = 0; c < width; c += 4) {
          const at = block + <usize>c * stride;
          dots(type, from, rowBytes, height, at, stride, depth, sums);
          for (let i = 0; i < height; i++) {
            const few = min(4, width - c);
            finish(command, sums + (<usize>i << 4), few, column + c, firstRow + row + i, b);
          }
        }
      }
    }
  }
}

/** Decodes rows; those that make up the last three are copies, or whatever is finite there. */
function loadRows(
  type: i32,
  target: usize,
  targetStride: usize,
  source: usize,
  stride: usize,
  count: i32,
  depth: i32,
): void {
  const padded = (count + 2) / 3 * 3;
  for (let row = 0; row < padded; row++) {
    const from = source + <usize>min(row, count - 1) * stride;
    loadRow(type, target + <usize>row * targetStride, from, depth);
  }
}

/** Decodes rows of weights, multiplied with their scales; up to three more are zeros. */
export function loadWeights(
  type: i32,
  target: usize,
  targetStride: usize,
  source: usize,
  stride: usize,
  firstRow: i32,
  count: i32,
  depth: i32,
  scales: usize,
  scalesStride: usize,
): void {
  for (let row = 0; row < count; row++) {
    const to = target + <usize>row * targetStride;
    const from = source + <usize>row * stride;
    if (type != E4M3) {
      loadRow(type, to, from, depth);
      continue;
    }
    const scaleRow = scales + <usize>((firstRow + row) / SCALE_BLOCK) * scalesStride;
    for (let k = 0; k < depth; k += SCALE_BLOCK) {
      const scale = load<f32>(scaleRow + (<usize>(k / SCALE_BLOCK) << 2));
      decodeE4m3(to + (<usize>k << 2), from + <usize>k, min(SCALE_BLOCK, depth - k), scale);
    }
  }
  for (let row = count; row & 3; row++) {
    memory.fill(target + <usize>row * targetStride, 0, <usize>depth << 2);
  }
}

export function dots(
  type: i32,
  x: usize,
  xStride: usize,
  height: i32,
  w: usize,
  stride: usize,
  depth: i32,
  sums: usize,
): void {
  if (type == F32) {
    if (height == 1) dot1x4<f32>(x, w, stride, depth, sums);
    else dot3x4<f32>(x, xStride, w, stride, depth, sums);
  } else if (height == 1) dot1x4<u16>(x, w, stride, depth, sums);
  else dot3x4<u16>(x, xStride, w, stride, depth, sums);
}

function outer(
  type: i32,
  x: usize,
  xStride: usize,
  height: i32,
  w: usize,
  stride: usize,
  width: i32,
  depth: i32,
  sums: usize,
): void {
  if (width == 16) {
    if (type == F32) outer3x16<f32>(x, xStride, w, stride, depth, sums);
    else outer3x16<u16>(x, xStride, w, stride, depth, sums);
    return;
  }
  for (let row = 0; row < height; row++) {
    const from = x + <usize>row * xStride;
    for (let c = 0; c < width; c++) {
      const at = w + <usize>c * sizeOf(type);
      const sum =
        type == F32 ? outer1x1<f32>(from, at, stride, depth) : outer1x1<u16>(from, at, stride, depth);
      store<f32>(sums + (<usize>row << 6) + (<usize>c << 2), sum);
    }
  }
}

/** Four elements of f32 or bf16. */
// @ts-ignore: decorator
@inline
function load4(type: i32, from: usize): v128 {
  if (type == F32) return v128.load(from);
  return i32x4.shl(i32x4.extend_low_i16x8_u(v128.load64_zero(from)), 16);
}

/** Sums → elements `column` to `column + count` of a row. */
function finish(
  command: Gemm,
  sums: usize,
  count: i32,
  column: i32,
  row: i32,
  batch: usize,
): void {
  const factor = <f32>command.scale;
  const bias = command.bias.address;
  const biasType = command.bias.type;
  const residualType = command.residual.type;
  let residual = command.residual.address;
  if (residual != 0) {
    residual += batch * command.residualBatchStride + <usize>row * command.residual.stride;
  }
  const outType = command.out.type;
  const out =
    command.out.address + batch * command.outBatchStride + <usize>row * command.out.stride;
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const c = <usize>(column + i);
    let values = v128.load(sums + (<usize>i << 2));
    if (bias != 0) values = f32x4.add(values, load4(biasType, bias + c * sizeOf(biasType)));
    values = f32x4.mul(values, factors);
    if (residual != 0) {
      values = f32x4.add(values, load4(residualType, residual + c * sizeOf(residualType)));
    }
    const to = out + c * sizeOf(outType);
    if (outType == BF16) v128.store64_lane(to, packBf16(values, values), 0);
    else v128.store(to, values);
  }
  for (; i < count; i++) {
    const c = <usize>(column + i);
    let value = load<f32>(sums + (<usize>i << 2));
    if (bias != 0) value += loadElement(biasType, bias + c * sizeOf(biasType));
    value *= factor;
    if (residual != 0) {
      value += loadElement(residualType, residual + c * sizeOf(residualType));
    }
    const to = out + c * sizeOf(outType);
    if (outType == BF16) store<u16>(to, encodeBf16(value));
    else store<f32>(to, value);
  }
}
