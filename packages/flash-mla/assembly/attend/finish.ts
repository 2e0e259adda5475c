/** What happens to a tile once all its keys are attended. */

import { storeEncoded } from '../encode';
import { exp2, LN2, LOG2E, log2 } from '../scalar';
import { colTiles, dV, maximum, outputStride, outputs, rows, spill, sum } from './tile';

// Where rows go: row r is query position r / group, head r % group.
let outBase: usize = 0;
let outPosition: usize = 0;
let outHead: usize = 0;
let lseBase: usize = 0;
let lsePosition: usize = 0;
let lseHead: usize = 0;
/** Largest logits, laid out as the lse; 0 where nobody asks for them. */
let topBase: usize = 0;
/** f32 per head of the group; 0 where there is no sink. */
let sinks: usize = 0;
let group: i32 = 1;
let outType: i32 = 0;
let outScale: f32 = 1;

export function setOutput(
  dtype: i32,
  address: usize,
  perPosition: usize,
  perHead: usize,
  scale: f32,
): void {
  outType = dtype;
  outBase = address;
  outPosition = perPosition;
  outHead = perHead;
  outScale = scale;
}

export function setLse(
  address: usize,
  perPosition: usize,
  perHead: usize,
  heads: i32,
  largest: usize,
  sink: usize,
): void {
  lseBase = address;
  lsePosition = perPosition;
  lseHead = perHead;
  group = heads;
  topBase = largest;
  sinks = sink;
}

/** Writes the rows of the tile, the first of which is row `firstRow`. */
export function writeTile(firstRow: i32): void {
  for (let r = 0; r < rows; r++) {
    const offset = <usize>r << 2;
    const factor = writeStatistics(
      firstRow + r,
      load<f32>(maximum + offset),
      load<f32>(sum + offset),
    );
    writeRow(firstRow + r, outputs + (<usize>r << 6), outputStride, 0, colTiles, factor);
  }
}

/** Writes lse and largest logit of a row; returns by what its outputs are to be multiplied. */
export function writeStatistics(row: i32, top: f32, total: f32): f32 {
  const factor = outputFactor(row, top, total);
  const at = lseOffset(row);
  // Nothing attended: the sum is exactly 0.
  const lse = total == 0 ? Infinity : (<f64>top + log2(<f64>total)) * LN2;
  store<f32>(lseBase + at, <f32>lse);
  // The running maximum passes over NaN, the sum does not: a NaN that is attended to must show.
  if (topBase != 0) store<f32>(topBase + at, total == total ? <f32>(<f64>top * LN2) : <f32>NaN);
  return factor;
}

/** By what the outputs of a row are to be multiplied: 1 / sum, the sink's share, the scale. */
export function outputFactor(row: i32, top: f32, total: f32): f32 {
  if (total == 0) return 0;
  let factor = <f64>outScale / <f64>total;
  if (sinks != 0) {
    const sink = <f64>load<f32>(sinks + (<usize>(row % group) << 2));
    factor /= 1 + exp2(sink * LOG2E - (<f64>top + log2(<f64>total)));
  }
  return <f32>factor;
}

function lseOffset(row: i32): usize {
  return <usize>(row / group) * lsePosition + <usize>(row % group) * lseHead;
}

/** Writes column tiles `from` to `to` of a row. */
export function writeRow(
  row: i32,
  source: usize,
  tileStride: usize,
  from: i32,
  to: i32,
  factor: f32,
): void {
  const scale = f32x4.splat(factor);
  let out =
    outBase +
    <usize>(row / group) * outPosition +
    <usize>(row % group) * outHead +
    (<usize>from << 5);
  source += <usize>from * tileStride;
  for (let tile = from; tile < to; tile++) {
    const columns = dV - tile * 16;
    storeEncoded(
      outType,
      out,
      columns < 16 ? columns : 16,
      f32x4.mul(v128.load(source), scale),
      f32x4.mul(v128.load(source, 16), scale),
      f32x4.mul(v128.load(source, 32), scale),
      f32x4.mul(v128.load(source, 48), scale),
      spill,
    );
    out += 32;
    source += tileStride;
  }
}
