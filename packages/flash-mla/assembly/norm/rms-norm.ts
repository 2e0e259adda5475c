/** RMSNorm of rows, after adding them to a residual; see src/ops/norm. */

import { loadRowOf, rowAt, storeRowOf } from '../elements';
import { E4M3, F32 } from '../generated/commands';
import { RmsNorm } from '../generated/norm';
import { encode4 } from '../ops/quantize-row';
import { fma, sumLanes } from '../simd';
import { normRow, normsNatively } from './native';

/** Rows that one item handles. */
const CHUNK: i32 = 4;
const SCALE_COLUMNS: usize = 128;
const LEAST_MAGNITUDE: f32 = 1e-4;

export function rmsNorm(command: RmsNorm): void {
  const rows = command.numRows;
  const columns = command.columns;
  const residual = command.residual;
  const out = command.out;
  const row = command.scratch(command.scratchBytes);
  const third = command.scratchBytes / 3;
  const other = row + third;
  const gains = other + third;
  const rowScales = (<usize>columns / SCALE_COLUMNS) << 2;
  const natively = normsNatively(columns);
  let decoded = false;
  const items = (rows + CHUNK - 1) / CHUNK;
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    if (!decoded) loadRowOf(command.weight, 0, gains, columns);
    decoded = true;
    for (let r = item * CHUNK; r < min(rows, (item + 1) * CHUNK); r++) {
      if (natively) {
        const to = out.type == E4M3 ? row : rowAt(out, r);
        const type = out.type == E4M3 ? F32 : out.type;
        const eps = <f32>command.eps;
        normRow(other, command.x, residual, r, gains, row, to, type, columns, eps);
        if (out.type == E4M3) {
          const scales = command.scales + <usize>r * rowScales;
          quantizeRow(row, rowAt(out, r), scales, columns, command.powerOfTwoScales);
        }
        continue;
      }
      loadRowOf(command.x, r, row, columns);
      if (residual.address != 0) {
        loadRowOf(residual, r, other, columns);
        addRow(row, other, columns);
        storeRowOf(residual, r, row, columns);
        loadRowOf(residual, r, row, columns);
      }
      const mean = sumOfSquares(row, columns) / <f32>columns;
      scaleRow(row, gains, 1 / sqrt<f32>(mean + <f32>command.eps), columns);
      if (out.type == E4M3) {
        const scales = command.scales + <usize>r * rowScales;
        quantizeRow(row, rowAt(out, r), scales, columns, command.powerOfTwoScales);
      } else storeRowOf(out, r, row, columns);
    }
  }
}

function addRow(row: usize, other: usize, count: i32): void {
  let i: usize = 0;
  const bytes = <usize>count << 2;
  for (; i + 16 <= bytes; i += 16) {
    v128.store(row + i, f32x4.add(v128.load(row + i), v128.load(other + i)));
  }
  for (; i < bytes; i += 4) store<f32>(row + i, load<f32>(row + i) + load<f32>(other + i));
}

/** Columns whose squares are added in float32: over many more, rounding would show in a result of float32. */
const SUM_COLUMNS: i32 = 1024;

function sumOfSquares(row: usize, count: i32): f32 {
  let sum: f64 = 0;
  for (let begin = 0; begin < count; begin += SUM_COLUMNS) {
    sum += sumOfFew(row + (<usize>begin << 2), min(SUM_COLUMNS, count - begin));
  }
  return <f32>sum;
}

function sumOfFew(row: usize, count: i32): f32 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let i: usize = 0;
  const bytes = <usize>count << 2;
  for (; i + 32 <= bytes; i += 32) {
    const v = v128.load(row + i);
    const w = v128.load(row + i, 16);
    a = fma(v, v, a);
    b = fma(w, w, b);
  }
  let sum = sumLanes(f32x4.add(a, b));
  for (; i < bytes; i += 4) {
    const v = load<f32>(row + i);
    sum += v * v;
  }
  return sum;
}

function scaleRow(row: usize, gains: usize, scale: f32, count: i32): void {
  const factor = f32x4.splat(scale);
  let i: usize = 0;
  const bytes = <usize>count << 2;
  for (; i + 16 <= bytes; i += 16) {
    v128.store(row + i, f32x4.mul(f32x4.mul(v128.load(row + i), factor), v128.load(gains + i)));
  }
  for (; i < bytes; i += 4) store<f32>(row + i, load<f32>(row + i) * scale * load<f32>(gains + i));
}

/** A row of float32 → e4m3 with a scale for each 128 columns. */
export function quantizeRow(
  row: usize,
  target: usize,
  scales: usize,
  columns: i32,
  powerOfTwo: bool,
): void {
  const magnitude = i32x4.splat(0x7fffffff);
  for (let begin: usize = 0; begin < <usize>columns; begin += SCALE_COLUMNS) {
    const from = row + (begin << 2);
    let top = f32x4.splat(LEAST_MAGNITUDE);
    for (let c: usize = 0; c < SCALE_COLUMNS << 2; c += 16) {
      top = f32x4.max(top, v128.and(v128.load(from + c), magnitude));
    }
    const largest = max(
      max(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1)),
      max(f32x4.extract_lane(top, 2), f32x4.extract_lane(top, 3)),
    );
    let scale: f32 = largest / 448;
    if (powerOfTwo) {
      // The next power of two, unless it is one; infinities and NaN stay.
      const bits = reinterpret<u32>(scale);
      if (bits < 0x7f800000) scale = reinterpret<f32>((bits + 0x7fffff) & 0xff800000);
    }
    store<f32>(scales + (begin >> 5), scale);
    const inverse = f32x4.splat(1 / scale);
    for (let c: usize = 0; c < SCALE_COLUMNS; c += 8) {
      const at = from + (c << 2);
      const a = encode4(f32x4.mul(v128.load(at), inverse));
      const b = encode4(f32x4.mul(v128.load(at, 16), inverse));
      const words = i16x8.narrow_i32x4_s(a, b);
      v128.store64_lane(target + begin + c, i8x16.narrow_i16x8_u(words, words), 0);
    }
  }
}
