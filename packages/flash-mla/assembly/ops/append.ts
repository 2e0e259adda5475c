/** Rows → the tokens of a paged cache that slots name. */

import { AppendRows } from '../generated/kv-cache';
import { BF16_ROWS } from '../generated/kernel-lib';
import { packRows } from './pack-rows';

/** Rows that one item handles. */
const CHUNK: i32 = 16;

/**
 * Row i goes to slot i, block · page + offset; a slot outside the cache's `capacity` tokens is skipped.
 * All strides are bytes. A row without a packed format is copied as it is, head by head.
 */
export function appendRows(command: AppendRows): void {
  const count = command.numRows;
  const page = command.pageSize;
  const slotBytes = command.slotBytes;
  const scratch = command.scratch(command.scratchBytes);
  const items = (count + CHUNK - 1) / CHUNK;
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    for (let i = item * CHUNK; i < min(count, (item + 1) * CHUNK); i++) {
      const at = command.slots + <usize>i * slotBytes;
      // A negative slot is large as an unsigned number.
      const slot = load<u32>(at);
      if (slot >= command.capacity || (slotBytes == 8 && load<u32>(at, 4) != 0)) continue;
      const from = command.rows + <usize>i * command.rowStride;
      const block = command.cache + <usize>(slot / page) * command.blockStride;
      const offset = <usize>(slot % page);
      if (command.layout == BF16_ROWS) {
        const to = block + offset * command.tokenStride;
        for (let h: usize = 0; h < <usize>command.numHeads; h++) {
          memory.copy(to + h * command.headStride, from + h * command.rowHeadStride, command.rowBytes);
        }
      } else {
        packRows(scratch, command.layout, from, 0, 1, block, page, <i32>offset, command.tokenStride);
      }
    }
  }
}
