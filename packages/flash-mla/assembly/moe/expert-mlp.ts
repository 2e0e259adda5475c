/** The weighted sum of the experts of each row; see src/ops/moe. */

import { gateRow } from '../activation/elements';
import { loadRow, loadRowOf, storeRowOf } from '../elements';
import { dots, loadWeights } from '../gemm/gemm';
import { E4M3, F32 } from '../generated/commands';
import { ExpertMlp, Matrices } from '../generated/moe';
import { fma } from '../simd';
import { worker, workers } from '../work';

/** Columns that an item computes, and rows of weights that are decoded at a time. */
const COLUMNS: i32 = 32;
const WEIGHTS: i32 = 16;
/** Rows that are multiplied with weights straight from memory. */
const FEW_ROWS: i32 = 3;

// Where the thread keeps things while it runs a command.
let order: usize = 0;
let ends: usize = 0;
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
  sums = command.scratch(command.scratchBytes);
  xBlock = sums + 384;
  wBlock = xBlock + <usize>rowBlock * rowBytes;
  ends = wBlock + <usize>(2 * WEIGHTS) * rowBytes;
  const active = ends + (<usize>experts << 2);
  order = active + (<usize>experts << 2);
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

/** Sorts the pairs of a chunk by expert; lists the experts that have any, and counts them. */
function sortPairs(pairs: usize, count: i32, experts: i32, active: usize): i32 {
  memory.fill(ends, 0, <usize>experts << 2);
  for (let p: usize = 0; p < <usize>count; p++) {
    const expert = load<u32>(pairs + (p << 2));
    if (expert >= <u32>experts) continue;
    const at = ends + (<usize>expert << 2);
    store<i32>(at, load<i32>(at) + 1);
  }
  let numActive = 0;
  let sum = 0;
  for (let e = 0; e < experts; e++) {
    const at = ends + (<usize>e << 2);
    const n = load<i32>(at);
    if (n > 0) {
      store<i32>(active + (<usize>numActive << 2), e);
      numActive++;
    }
    store<i32>(at, sum);
    sum += n;
  }
  // Where the pairs of an expert begin moves on to where they end.
  for (let p = 0; p < count; p++) {
    const expert = load<u32>(pairs + (<usize>p << 2));
    if (expert >= <u32>experts) continue;
    const at = ends + (<usize>expert << 2);
    const place = load<i32>(at);
    store<i32>(order + (<usize>place << 2), p);
    store<i32>(at, place + 1);
  }
  return numActive;
}

// @ts-ignore: decorator
@inline
function endOf(expert: i32): i32 {
  return load<i32>(ends + (<usize>expert << 2));
}

// @ts-ignore: decorator
@inline
function beginOf(expert: i32): i32 {
  return expert == 0 ? 0 : load<i32>(ends + (<usize>expert << 2) - 4);
}

// @ts-ignore: decorator
@inline
function pairAt(place: i32): i32 {
  return load<i32>(order + (<usize>place << 2));
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
