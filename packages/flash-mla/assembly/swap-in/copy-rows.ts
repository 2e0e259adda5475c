/** Rows of a paged cache to rows of another one; see src/ops/swap-in, whose reference.ts says what it means. */

import { CopyRows } from '../generated/swap-in';

/** Rows that one item copies. */
const CHUNK: i32 = 64;

export function copyRows(command: CopyRows): void {
  const most = command.most;
  const rowBytes = command.rowBytes;
  const chunks = (most + CHUNK - 1) / CHUNK;
  const items = command.numRequests * chunks;
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    const request = item / chunks;
    const begin = (item % chunks) * CHUNK;
    const counts = command.counts;
    const count = counts == 0 ? most : min(most, load<i32>(counts + (<usize>request << 2)));
    const entries = <usize>request * most;
    for (let i = begin; i < min(count, begin + CHUNK); i++) {
      const at = (entries + i) << 2;
      const from = load<u32>(command.sourceRows + at);
      const to = load<u32>(command.targetRows + at);
      // A negative row is large as an unsigned number.
      if (from >= <u32>command.numSourceRows || to >= <u32>command.numTargetRows) continue;
      memory.copy(
        command.target + <usize>to * rowBytes,
        command.source + <usize>from * rowBytes,
        rowBytes,
      );
    }
  }
}
