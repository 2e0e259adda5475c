/** The weighted sum of the experts of each row; see src/ops/moe. */

import { gateRow } from '../activation/elements';
import { loadRow, loadRowOf, storeRowOf } from '../elements';
import { dots, loadWeights } from '../gemm/gemm';
import { JOB_BYTES } from '../gemm/native';
import { multipliesWeights, timesWeights } from '../gemm/scaled';
import { E4M3, F32 } from '../generated/commands';
import { ExpertMlp, Matrices } from '../generated/moe';
import { fma } from '../simd';
import { worker, workers } from '../work';
import { beginOf, endOf, pairAt, sortPairs, usePairLists } from './pairs';

/** Columns that an item computes, and rows of weights that are decoded at a time. */
const COLUMNS: i32 = 32;
const WEIGHTS: i32 = 16;
/** Rows that are multiplied with weights straight from memory. */
const FEW_ROWS: i32 = 3;

/** Bytes from one row of an item's sums to the next. */
const SUM_STRIDE: usize = <usize>COLUMNS << 2;

// Where the thread keeps things while it runs a command.
let job: usize = 0;
let rowBytes: usize = 0;
let sums: usize = 0;
let xBlock: usize = 0;
let wBlock: usize = 0;

/**
 * Works on `rowChunk` rows at a time: their experts' activations, then what these become, both float32 in
 * memory that all threads share, then the sums. A pair is a row and one of its experts. Every thread
 * sorts the pairs of a chunk by expert for itself.
 */
export function expertMlp(command: ExpertMlp): void {
  const rows = command.numRows;
  const rowChunk = command.rowChunk;
  const rowBlock = command.rowBlock;
  const topK = command.topK;
  const experts = command.numExperts;
  const hidden = command.hidden;
  const width = command.width;
  const x = command.x;
  const weightType = command.weightType;
  const gateUp = command.gateUp;
  const down = command.down;
  rowBytes = <usize>((max(hidden, width) + 7) & ~7) << 2;
  job = command.scratch(command.scratchBytes);
  sums = job + JOB_BYTES;
  const upSums = sums + <usize>rowBlock * SUM_STRIDE;
  xBlock = upSums + <usize>rowBlock * SUM_STRIDE;
  wBlock = xBlock + <usize>rowBlock * rowBytes;
  const ends = wBlock + <usize>(2 * WEIGHTS) * rowBytes;
  const active = ends + (<usize>experts << 2);
  usePairLists(ends, active + (<usize>experts << 2));
  // Then the weights are read in place, and need not lie in this memory.
  const natively = multipliesWeights(weightType, hidden) && multipliesWeights(weightType, width);
  const activations = command.shared(command.scratchBytes);
  const activationBytes = <usize>width << 2;
  const results = activations + <usize>(rowChunk * topK) * activationBytes;
  const resultBytes = <usize>hidden << 2;
  const upBlocks = (width + COLUMNS - 1) / COLUMNS;
  const downBlocks = (hidden + COLUMNS - 1) / COLUMNS;
  let item = command.takeItem();
  let second = command.takeSecondItem();
  let firstItem = 0;
  let firstSecond = 0;
  for (let first = 0; first < rows; first += rowChunk) {
    const count = min(rowChunk, rows - first);
    const pairs = command.experts + (<usize>(first * topK) << 2);
    const numActive = sortPairs(pairs, count * topK, experts, active);

    const lastItem = firstItem + numActive * upBlocks;
    for (; item < lastItem; item = command.takeItem()) {
      const expert = load<i32>(active + (<usize>((item - firstItem) / upBlocks) << 2));
      const begin = ((item - firstItem) % upBlocks) * COLUMNS;
      const end = min(width, begin + COLUMNS);
      const last = endOf(expert);
      for (let at = beginOf(expert); at < last; at += rowBlock) {
        const height = min(rowBlock, last - at);
        gather(x.type, x.address + <usize>first * x.stride, x.stride, at, height, hidden, topK);
        if (natively) {
          const scales = command.gateUpScales;
          product(weightType, gateUp, scales, expert, begin, end - begin, hidden, height, sums);
          product(weightType, gateUp, scales, expert, width + begin, end - begin, hidden, height, upSums);
          for (let r = 0; r < height; r++) {
            const sum = sums + <usize>r * SUM_STRIDE;
            gateRow(sum, upSums + <usize>r * SUM_STRIDE, end - begin);
            const to = activations + <usize>pairAt(at + r) * activationBytes + (<usize>begin << 2);
            memory.copy(to, sum, <usize>(end - begin) << 2);
          }
          continue;
        }
        for (let c = begin; c < end; c += WEIGHTS) {
          const n = min(WEIGHTS, end - c);
          const scales = command.gateUpScales;
          const gates = weightRows(weightType, gateUp, scales, expert, c, n, hidden, height, 0);
          const ups = weightRows(weightType, gateUp, scales, expert, width + c, n, hidden, height, WEIGHTS);
          const stride = isDirect(weightType, height, n) ? gateUp.stride : rowBytes;
          const type = isDirect(weightType, height, n) ? weightType : F32;
          for (let r = 0; r < height; r += 3) {
            const from = xBlock + <usize>r * rowBytes;
            const few = min(3, height - r);
            for (let i = 0; i < n; i += 4) {
              const skip = <usize>i * stride;
              dots(type, from, rowBytes, few, gates + skip, stride, hidden, sums);
              dots(type, from, rowBytes, few, ups + skip, stride, hidden, sums + 192);
              for (let j = 0; j < few; j++) {
                const sum = sums + (<usize>j << 4);
                gateRow(sum, sum + 192, 4);
                const to = activations + <usize>pairAt(at + r + j) * activationBytes;
                memory.copy(to + (<usize>(c + i) << 2), sum, <usize>min(4, n - i) << 2);
              }
            }
          }
        }
      }
    }
    firstItem = lastItem;
    command.barrier();

    const lastSecond = firstSecond + numActive * downBlocks;
    for (; second < lastSecond; second = command.takeSecondItem()) {
      const expert = load<i32>(active + (<usize>((second - firstSecond) / downBlocks) << 2));
      const begin = ((second - firstSecond) % downBlocks) * COLUMNS;
      const end = min(hidden, begin + COLUMNS);
      const last = endOf(expert);
      for (let at = beginOf(expert); at < last; at += rowBlock) {
        const height = min(rowBlock, last - at);
        gather(F32, activations, activationBytes, at, height, width, 1);
        if (natively) {
          product(weightType, down, command.downScales, expert, begin, end - begin, width, height, sums);
          for (let r = 0; r < height; r++) {
            const to = results + <usize>pairAt(at + r) * resultBytes + (<usize>begin << 2);
            memory.copy(to, sums + <usize>r * SUM_STRIDE, <usize>(end - begin) << 2);
          }
          continue;
        }
        for (let c = begin; c < end; c += WEIGHTS) {
          const n = min(WEIGHTS, end - c);
          const scales = command.downScales;
          const rowsOfBlock = weightRows(weightType, down, scales, expert, c, n, width, height, 0);
          const stride = isDirect(weightType, height, n) ? down.stride : rowBytes;
          const type = isDirect(weightType, height, n) ? weightType : F32;
          for (let r = 0; r < height; r += 3) {
            const from = xBlock + <usize>r * rowBytes;
            const few = min(3, height - r);
            for (let i = 0; i < n; i += 4) {
              dots(type, from, rowBytes, few, rowsOfBlock + <usize>i * stride, stride, width, sums);
              for (let j = 0; j < few; j++) {
                const to = results + <usize>pairAt(at + r + j) * resultBytes;
                memory.copy(to + (<usize>(c + i) << 2), sums + (<usize>j << 4), <usize>min(4, n - i) << 2);
              }
            }
          }
        }
      }
    }
    firstSecond = lastSecond;
    command.barrier();

    for (let r = worker; r < count; r += workers) {
      const row = first + r;
      if (command.residual.address != 0) loadRowOf(command.residual, row, xBlock, hidden);
      else memory.fill(xBlock, 0, rowBytes);
      for (let k = 0; k < topK; k++) {
        const pair = <usize>(r * topK + k);
        if (load<u32>(pairs + (pair << 2)) >= <u32>experts) continue;
        const weight = f32x4.splat(load<f32>(command.weights + (((<usize>(first * topK)) + pair) << 2)));
        const result = results + pair * resultBytes;
        for (let i: usize = 0; i + 16 <= resultBytes; i += 16) {
          v128.store(xBlock + i, fma(v128.load(result + i), weight, v128.load(xBlock + i)));
        }
        for (let i = resultBytes & ~15; i < resultBytes; i += 4) {
          const added = load<f32>(result + i) * f32x4.extract_lane(weight, 0);
          store<f32>(xBlock + i, load<f32>(xBlock + i) + added);
        }
      }
      storeRowOf(command.out, row, xBlock, hidden);
    }
  }
}

/** Decodes the rows of some pairs; those that make up the last three are copies. */
function gather(
  type: i32,
  source: usize,
  stride: usize,
  place: i32,
  count: i32,
  depth: i32,
  pairsPerRow: i32,
): void {
  const padded = (count + 2) / 3 * 3;
  for (let i = 0; i < padded; i++) {
    const row = pairAt(place + min(i, count - 1)) / pairsPerRow;
    loadRow(type, xBlock + <usize>i * rowBytes, source + <usize>row * stride, depth);
  }
}

// @ts-ignore: decorator
@inline
function isDirect(type: i32, height: i32, count: i32): bool {
  return type != E4M3 && (type == F32 || height <= FEW_ROWS) && count % 4 == 0;
}

/** Where rows of an expert's weights are: where they were, or decoded, from row `place` of the block on. */
function weightRows(
  type: i32,
  weights: Matrices,
  scales: Matrices,
  expert: i32,
  first: i32,
  count: i32,
  depth: i32,
  height: i32,
  place: i32,
): usize {
  const stride = weights.stride;
  const from = weights.address + <usize>expert * weights.expertStride + <usize>first * stride;
  if (isDirect(type, height, count)) return from;
  const to = wBlock + <usize>place * rowBytes;
  const scalesOfExpert = scales.address + <usize>expert * scales.expertStride;
  loadWeights(type, to, rowBytes, from, stride, first, count, depth, scalesOfExpert, scales.stride);
  return to;
}

/** Sums of the rows in the block with some rows of an expert's weights, by machine code. */
function product(
  type: i32,
  weights: Matrices,
  scales: Matrices,
  expert: i32,
  first: i32,
  count: i32,
  depth: i32,
  height: i32,
  target: usize,
): void {
  const from = placeOf(weights, expert) + <i64>first * <i64>weights.stride;
  timesWeights(
    job, type, xBlock, rowBytes, height, from, weights.stride, first, count, depth,
    placeOf(scales, expert), scales.stride, target, SUM_STRIDE,
  );
}

/** Where machine code finds the matrix of an expert. */
// @ts-ignore: decorator
@inline
function placeOf(matrices: Matrices, expert: i32): i64 {
  return matrices.base + <i64>matrices.address + <i64>expert * <i64>matrices.expertStride;
}
