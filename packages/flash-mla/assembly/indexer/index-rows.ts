/** Index queries and keys; see src/ops/indexer, whose reference says what they mean. */

import { loadElement, loadRow, loadRowOf, rowAt, sizeOf } from '../elements';
import { encode4 } from '../ops/quantize-row';
import { IndexRows } from '../generated/indexer';

const DIM: usize = 128;
const HALF: usize = 32;
const LEAST_MAGNITUDE: f32 = 1e-4;

export function indexRows(command: IndexRows): void {
  const row = command.scratch(command.scratchBytes);
  const gains = row + (DIM << 2);
  const biases = gains + (DIM << 2);
  const isKeys = command.isKeys;
  const x = command.x;
  const weights = command.weights;
  const out = command.out;
  const pageSize = command.pageSize;
  if (isKeys) {
    loadRowOf(weights, 0, gains, <i32>DIM);
    loadRow(weights.type, biases, command.bias, <i32>DIM);
  }
  for (let r = command.takeItem(); r < command.numRows; r = command.takeItem()) {
    const position = load<u32>(command.positions + (<usize>r << 2));
    const slot = isKeys ? load<u32>(command.slots + (<usize>r << 2)) : 0;
    if (isKeys && slot >= command.capacity) continue;
    for (let head: usize = 0; head < <usize>command.numHeads; head++) {
      loadRow(x.type, row, rowAt(x, r) + head * command.xHeadStride, <i32>DIM);
      if (isKeys) layerNorm(row, gains, biases, <f32>command.eps);
      if (position < command.numPositions) {
        const angle = (<usize>position * HALF) << 2;
        rotate(row, command.cos + angle, command.sin + angle, command.interleaved);
      }
      if (command.hadamard) transform(row);
      const scale = powerOfTwoScale(row);
      if (isKeys) {
        const page = out + <usize>(slot / pageSize) * pageSize * (DIM + 4);
        const place = <usize>(slot % pageSize);
        encode(row, page + place * DIM, 1 / scale);
        store<f32>(page + <usize>pageSize * DIM + (place << 2), scale);
      } else {
        const vector = <usize>r * command.numHeads + head;
        encode(row, out + vector * DIM, 1 / scale);
        const weight = loadElement(weights.type, rowAt(weights, r) + head * sizeOf(weights.type));
        const factor = <f32>command.weightScale;
        store<f32>(command.outWeights + (vector << 2), weight * factor * scale);
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
