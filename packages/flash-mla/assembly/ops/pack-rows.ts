/** Rows of bf16 ↔ packed rows of a block, by machine code where the host has some for the processor at hand. */

import { isNative } from '../attend/tile';
import { packBf16 } from '../encode';
import {
  MODEL1_COLUMNS_PER_SCALE,
  MODEL1_ROPE_OFFSET,
  MODEL1_ROW_STRIDE,
  MODEL1_SCALE_BYTES,
  MODEL1_VALUE_COLUMNS,
  V32,
  V32_COLUMNS_PER_SCALE,
  V32_ROPE_OFFSET,
  V32_VALUE_COLUMNS,
} from '../generated/kernel-lib';
import { DequantizeJob, PackJob } from '../generated/native';
import { quantizeModel1, quantizeV32 } from './quantize-row';
import { decodeSparseRow, model1RowAt, model1ScalesAt } from './sparse-rows';

/** Runs the machine code that packs on the job at this address. */
@external("env", "packNative")
declare function packNative(job: usize): void;

/** Runs the machine code that unpacks on the job at this address. */
@external("env", "dequantizeNative")
declare function dequantizeNative(job: usize): void;

/** Values of a line: the unit of the machine code. */
const LINE: usize = 32;

/**
 * Packs `count` rows, `sourceStride` bytes apart, into the tokens of a block from `offset` on. `scratch`: where a job
 * may be written.
 */
export function packRows(
  scratch: usize,
  layout: i32,
  source: usize,
  sourceStride: usize,
  count: i32,
  block: usize,
  page: i32,
  offset: i32,
  tokenStride: usize,
): void {
  if (!isNative) {
    for (let i = 0; i < count; i++) {
      const from = source + <usize>i * sourceStride;
      const at = <usize>(offset + i);
      if (layout == V32) quantizeV32(from, block + at * tokenStride);
      else quantizeModel1(from, model1RowAt(block, at), model1ScalesAt(block, page, at));
    }
    return;
  }
  const isV32 = layout == V32;
  const row = rowAt(isV32, block, offset, tokenStride);
  const job = changetype<PackJob>(scratch);
  job.source = source;
  job.sourceStride = sourceStride;
  job.rows = count;
  job.target = row;
  job.targetStride = isV32 ? tokenStride : MODEL1_ROW_STRIDE;
  job.scales = scalesAt(isV32, row, block, page, offset);
  job.scalesStride = isV32 ? tokenStride : MODEL1_SCALE_BYTES;
  job.tiles = tilesOf(isV32);
  job.linesOfTile = linesOfTile(isV32);
  job.tail = isV32 ? V32_ROPE_OFFSET : MODEL1_ROPE_OFFSET;
  job.isE8m0 = isV32 ? 0 : 1;
  packNative(scratch);
}

/**
 * Unpacks the tokens of a block from `offset` on to `count` rows, `targetStride` bytes apart. `scratch`: room for a
 * job or a row of float32.
 */
export function unpackRows(
  scratch: usize,
  layout: i32,
  target: usize,
  targetStride: usize,
  count: i32,
  block: usize,
  page: i32,
  offset: i32,
  tokenStride: usize,
): void {
  if (!isNative) {
    for (let i = 0; i < count; i++) {
      decodeSparseRow(layout, scratch, block, offset + i, tokenStride, page, <i32>(targetStride >> 1));
      const to = target + <usize>i * targetStride;
      for (let c: usize = 0; c < targetStride; c += 16) {
        const at = scratch + (c << 1);
        v128.store(to + c, packBf16(v128.load(at), v128.load(at, 16)));
      }
    }
    return;
  }
  const isV32 = layout == V32;
  const row = rowAt(isV32, block, offset, tokenStride);
  const job = changetype<DequantizeJob>(scratch);
  job.source = row;
  job.sourceStride = isV32 ? tokenStride : MODEL1_ROW_STRIDE;
  job.rows = count;
  job.target = target;
  job.targetStride = targetStride;
  job.scales = scalesAt(isV32, row, block, page, offset);
  job.scalesStride = isV32 ? tokenStride : MODEL1_SCALE_BYTES;
  job.tiles = tilesOf(isV32);
  job.linesOfTile = linesOfTile(isV32);
  job.tail = isV32 ? V32_ROPE_OFFSET : MODEL1_ROPE_OFFSET;
  job.isE8m0 = isV32 ? 0 : 1;
  dequantizeNative(scratch);
}

function rowAt(isV32: bool, block: usize, offset: i32, tokenStride: usize): usize {
  return isV32 ? block + <usize>offset * tokenStride : model1RowAt(block, offset);
}

/** Where the scales of token `offset` begin. */
function scalesAt(isV32: bool, row: usize, block: usize, page: i32, offset: i32): usize {
  return isV32 ? row + V32_VALUE_COLUMNS : model1ScalesAt(block, page, offset);
}

function tilesOf(isV32: bool): u32 {
  const values = isV32 ? V32_VALUE_COLUMNS : MODEL1_VALUE_COLUMNS;
  return <u32>(values / (isV32 ? V32_COLUMNS_PER_SCALE : MODEL1_COLUMNS_PER_SCALE));
}

function linesOfTile(isV32: bool): u32 {
  return <u32>((isV32 ? V32_COLUMNS_PER_SCALE : MODEL1_COLUMNS_PER_SCALE) / LINE);
}
