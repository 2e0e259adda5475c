/** Token-sparse attention over an unpaged bf16 KV: every query position has its own list of keys. */

import { attendBlock } from '../attend/block';
import { setLse, setOutput, writeTile } from '../attend/finish';
import { packQueries, setQueries } from '../attend/pack';
import { BLOCK, begin, keyStride, keys, layOut } from '../attend/tile';
import { decodeBf16 } from '../decode/bf16';
import { BF16 } from '../decode/row';
import { LOG2E } from '../scalar';
import { enterCommand, takeItem } from '../work';
import { rowsPerTile, tileCount } from './rows';

/** Lengths are i32 (sQ), or at address 0 where all entries count. They are clamped to 0…topk. */
export function sparsePrefill(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  maxTileRows: i32,
  sQ: i32,
  hQ: i32,
  sKv: i32,
  hKv: i32,
  dQk: i32,
  dV: i32,
  q: usize,
  qPosition: usize,
  qHead: usize,
  kv: usize,
  kvToken: usize,
  kvHead: usize,
  indices: usize,
  indicesPosition: usize,
  indicesHead: usize,
  topk: i32,
  topkLengths: usize,
  smScale: f64,
  attnSink: usize,
  out: usize,
  maxLogits: usize,
  lse: usize,
): void {
  enterCommand(context, worker, workers);
  const group = hQ / hKv;
  const tiles = tileCount(group, maxTileRows);
  const tileRows = rowsPerTile(group, maxTileRows);
  layOut(workspace + <usize>worker * scratchBytes, tileRows, dQk, dV, false);
  const items = sQ * hKv * tiles;
  for (let item = takeItem(); item < items; item = takeItem()) {
    const firstRow = (item % tiles) * tileRows;
    const head = (item / tiles) % hKv;
    const position = item / tiles / hKv;
    const rowCount = min(tileRows, group - firstRow);
    const row = <usize>position * <usize>hQ + <usize>(head * group);
    begin(rowCount, group, <f32>(smScale * LOG2E));
    setQueries(q + <usize>position * qPosition + <usize>(head * group) * qHead, 0, qHead, group);
    packQueries(BF16, firstRow);
    const outHead = <usize>dV << 1;
    setOutput(BF16, out + row * outHead, 0, outHead, 1);
    setLse(
      lse + (row << 2),
      0,
      4,
      group,
      maxLogits + (row << 2),
      attnSink == 0 ? 0 : attnSink + (<usize>(head * group) << 2),
    );

    const list = indices + <usize>position * indicesPosition + <usize>head * indicesHead;
    const given = topkLengths == 0 ? topk : load<i32>(topkLengths + (<usize>position << 2));
    const entries = min(given, topk);
    const base = kv + <usize>head * kvHead;
    let count = 0;
    for (let entry = 0; entry < entries; entry++) {
      const index = load<u32>(list + (<usize>entry << 2));
      if (index >= <u32>sKv) continue;
      decodeBf16(keys + <usize>count * keyStride, base + <usize>index * kvToken, dQk);
      if (++count == BLOCK) {
        attendBlock(BLOCK, false, 0);
        count = 0;
      }
    }
    if (count > 0) attendBlock(count, false, 0);
    writeTile(firstRow);
  }
}
