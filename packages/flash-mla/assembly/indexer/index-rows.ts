/** Index queries and keys; see src/ops/indexer, whose reference says what they mean. */

import { loadElement, loadRow } from '../elements';
import { encode4 } from '../ops/quantize';
import { enterCommand, takeItem } from '../work';

const DIM: usize = 128;
const HALF: usize = 32;
const LEAST_MAGNITUDE: f32 = 1e-4;

/** Of keys `weights` and `bias` are those of the norm, `out` is the cache; of queries `slots` is 0. */
export function indexRows(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  rows: i32,
  heads: i32,
  xType: i32,
  x: usize,
  xStride: usize,
  xHeadStride: usize,
  cos: usize,
  sin: usize,
  known: u32,
  positions: usize,
  interleaved: i32,
  hadamard: i32,
  weightsType: i32,
  weights: usize,
  weightsStride: usize,
  weightScale: f64,
  bias: usize,
  eps: f64,
  slots: usize,
  capacity: u32,
  pageSize: u32,
  out: usize,
  outWeights: usize,
): void {
  enterCommand(context, worker, workers);
  const row = workspace + <usize>worker * scratchBytes;
  const gains = row + (DIM << 2);
  const biases = gains + (DIM << 2);
  const isKeys = slots != 0;
  if (isKeys) {
    loadRow(weightsType, gains, weights, <i32>DIM);
    loadRow(weightsType, biases, bias, <i32>DIM);
  }
  const size: usize = weightsType == 0 ? 2 : 4;
  for (let r = takeItem(); r < rows; r = takeItem()) {
    const position = load<u32>(positions + (<usize>r << 2));
    const slot = isKeys ? load<u32>(slots + (<usize>r << 2)) : 0;
    if (isKeys && slot >= capacity) continue;
    for (let head: usize = 0; head < <usize>heads; head++) {
      loadRow(xType, row, x + <usize>r * xStride + head * xHeadStride, <i32>DIM);
      if (isKeys) layerNorm(row, gains, biases, <f32>eps);
      if (position < known) {
        const angle = (<usize>position * HALF) << 2;
        rotate(row, cos + angle, sin + angle, interleaved != 0);
      }
      if (hadamard) transform(row);
      const scale = powerOfTwoScale(row);
      if (isKeys) {
        const page = out + <usize>(slot / pageSize) * pageSize * (DIM + 4);
        const place = <usize>(slot % pageSize);
        encode(row, page + place * DIM, 1 / scale);
        store<f32>(page + <usize>pageSize * DIM + (place << 2), scale);
      } else {
        const vector = <usize>r * heads + head;
        encode(row, out + vector * DIM, 1 / scale);
        const weight = loadElement(weightsType, weights + <usize>r * weightsStride + head * size);
        store<f32>(outWeights + (vector << 2), weight * <f32>weightScale * scale);
      }
    }
  }
}

function layerNorm(row: usize, gains: usize, biases: usize, eps: f32): void {
  let sum: f32 = 0;
  for (let i: usize = 0; i < DIM; i++) sum += load<f32>(row + (i << 2));
  const mean = sum / <f32>DIM;
  let squares: f32 = 0;
  for (let i: usize = 0; i < DIM; i++) {
    const apart = load<f32>(row + (i << 2)) - mean;
    squares += apart * apart;
  }
  const scale: f32 = 1 / sqrt<f32>(squares / <f32>DIM + eps);
  for (let i: usize = 0; i < DIM << 2; i += 4) {
    const normed = (load<f32>(row + i) - mean) * scale;
    store<f32>(row + i, normed * load<f32>(gains + i) + load<f32>(biases + i));
  }
}

function rotate(row: usize, cos: usize, sin: usize, interleaved: bool): void {
  const step: usize = interleaved ? 8 : 4;
  const apart: usize = interleaved ? 4 : HALF << 2;
  for (let i: usize = 0; i < HALF; i++) {
    const c = load<f32>(cos + (i << 2));
    const s = load<f32>(sin + (i << 2));
    const at = row + i * step;
    const a = load<f32>(at);
    const b = load<f32>(at + apart);
    store<f32>(at, a * c - b * s);
    store<f32>(at + apart, a * s + b * c);
  }
}

/** The orthonormal Hadamard matrix in Sylvester's order. */
function transform(row: usize): void {
  for (let step: usize = 4; step < DIM << 2; step <<= 1) {
    for (let i: usize = 0; i < DIM << 2; i += 4) {
      if (i & step) continue;
      const a = load<f32>(row + i);
      const b = load<f32>(row + i + step);
      store<f32>(row + i, a + b);
      store<f32>(row + i + step, a - b);
    }
  }
  const scale: f32 = 1 / sqrt<f32>(<f32>DIM);
  for (let i: usize = 0; i < DIM << 2; i += 4) store<f32>(row + i, load<f32>(row + i) * scale);
}

/** The least power of two that brings the largest magnitude to at most 448; infinities and NaN stay. */
function powerOfTwoScale(row: usize): f32 {
  let largest = LEAST_MAGNITUDE;
  for (let i: usize = 0; i < DIM << 2; i += 4) largest = max(largest, abs(load<f32>(row + i)));
  const bits = reinterpret<u32>(largest / 448);
  return reinterpret<f32>(bits < 0x7f800000 ? (bits + 0x7fffff) & 0xff800000 : bits);
}

function encode(row: usize, target: usize, inverse: f32): void {
  const factor = f32x4.splat(inverse);
  for (let c: usize = 0; c < DIM; c += 8) {
    const at = row + (c << 2);
    const a = encode4(f32x4.mul(v128.load(at), factor));
    const b = encode4(f32x4.mul(v128.load(at, 16), factor));
    const words = i16x8.narrow_i32x4_s(a, b);
    v128.store64_lane(target + c, i8x16.narrow_i16x8_u(words, words), 0);
  }
}
