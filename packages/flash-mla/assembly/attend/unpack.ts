/** Packed rows of e4m3 as rows of bf16, for machine code that attends to tokens in place. */

import { UnpackJob } from '../generated/native';
import { decodeE8m0, model1RowAt, model1ScalesAt } from '../ops/sparse-rows';
import { keys, queries, spill } from './tile';

/** Bytes of an entry, as in src/runtime/cpu/native/kernels/unpack/job.ts. */
const ENTRY_BYTES: usize = 64;

/** Runs the machine code on the job at this address. */
@external("env", "unpackNative")
declare function unpackNative(job: usize): void;

/** Where entry `index` is written: queries of float32 have no use while tokens are attended to in place. */
function entryAt(index: i32, row: usize): usize {
  const entry = queries + <usize>index * ENTRY_BYTES;
  store<u32>(entry, <u32>row);
  return entry + 4;
}

/** Names a `v32` row. False where its scales are no powers of two: bf16 would round its values. */
export function nameV32(index: i32, row: usize): bool {
  const scales = v128.load(row + 512);
  if (v128.any_true(v128.and(scales, i32x4.splat(0x7fffff)))) return false;
  v128.store(entryAt(index, row), scales);
  return true;
}

/** Names a `model1` row. */
export function nameModel1(index: i32, block: usize, offset: usize, page: i32): void {
  const to = entryAt(index, model1RowAt(block, offset));
  const codes = model1ScalesAt(block, page, offset);
  for (let g: usize = 0; g < 7; g++) store<f32>(to + (g << 2), decodeE8m0(load<u8>(codes + g)));
}

/** Unpacks the first `count` rows that were named, to where keys go, one behind the other. */
export function unpackRows(count: i32, isV32: bool, stride: usize): void {
  const job = changetype<UnpackJob>(spill);
  job.entries = queries;
  job.count = count;
  job.target = keys;
  job.targetStride = stride;
  job.tiles = isV32 ? 4 : 7;
  job.linesOfTile = isV32 ? 4 : 2;
  job.tail = isV32 ? 528 : 448;
  unpackNative(spill);
}
