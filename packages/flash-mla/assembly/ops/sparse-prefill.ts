/** Token-sparse attention over an unpaged bf16 KV: every query position has its own list of keys. */

import { attendBlock } from '../attend/block';
import { setLse, setOutput, writeTile } from '../attend/finish';
import { packQueries, setQueries } from '../attend/pack';
import { BLOCK, begin, keyStride, keys, layOut } from '../attend/tile';
import { decodeBf16 } from '../decode/bf16';
import { SparsePrefill } from '../generated/attention';
import { BF16 } from '../generated/commands';
import { LOG2E } from '../scalar';
import { rowsPerTile, tileCount } from './rows';

export function sparsePrefill(command: SparsePrefill): void {
  const numHeadsQ = command.numHeadsQ;
  const numHeadsKv = command.numHeadsKv;
  const headDimQk = command.headDimQk;
  const headDimV = command.headDimV;
  const group = numHeadsQ / numHeadsKv;
  const tiles = tileCount(group, command.tileRows);
  const tileRows = rowsPerTile(group, command.tileRows);
  layOut(command.scratch(command.scratchBytes), tileRows, headDimQk, headDimV, false);
  const items = command.seqLenQ * numHeadsKv * tiles;
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    const firstRow = (item % tiles) * tileRows;
    const head = (item / tiles) % numHeadsKv;
    const position = item / tiles / numHeadsKv;
    const rowCount = min(tileRows, group - firstRow);
    const firstHead = <usize>(head * group);
    const row = <usize>position * <usize>numHeadsQ + firstHead;
    begin(rowCount, group, <f32>(command.softmaxScale * LOG2E));
    const queries = command.q + <usize>position * command.qPositionStride;
    setQueries(queries + firstHead * command.qHeadStride, 0, command.qHeadStride, group);
    packQueries(BF16, firstRow);
    const outHead = <usize>headDimV << 1;
    setOutput(BF16, command.out + row * outHead, 0, outHead, 1);
    const sink = command.attnSink == 0 ? 0 : command.attnSink + (firstHead << 2);
    setLse(command.lse + (row << 2), 0, 4, group, command.maxLogits + (row << 2), sink);
    attendEntries(command, position, head);
    writeTile(firstRow);
  }
}

/** Attends to the tokens that the list of a query position and KV head names. */
function attendEntries(command: SparsePrefill, position: i32, head: i32): void {
  const list =
    command.indices +
    <usize>position * command.indicesPositionStride +
    <usize>head * command.indicesHeadStride;
  const topk = command.topk;
  const lengths = command.topkLength;
  const entries = lengths == 0 ? topk : min(load<i32>(lengths + (<usize>position << 2)), topk);
  const base = command.kv + <usize>head * command.kvHeadStride;
  const tokenStride = command.kvTokenStride;
  const tokens = <u32>command.numTokens;
  const headDimQk = command.headDimQk;
  let count = 0;
  for (let entry = 0; entry < entries; entry++) {
    const index = load<u32>(list + (<usize>entry << 2));
    if (index >= tokens) continue;
    decodeBf16(keys + <usize>count * keyStride, base + <usize>index * tokenStride, headDimQk);
    if (++count == BLOCK) {
      attendBlock(BLOCK, false, 0);
      count = 0;
    }
  }
  if (count > 0) attendBlock(count, false, 0);
}
