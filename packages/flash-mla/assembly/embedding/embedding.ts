/** Rows of a table; see src/ops/embedding. */

import { loadRow, loadRowOf, storeRowOf } from '../elements';
import { Embedding } from '../generated/embedding';
import { copyBytesFar } from '../ops/copy-far';

export function embedding(command: Embedding): void {
  const columns = command.columns;
  const table = command.table;
  const row = command.scratch(command.scratchBytes);
  // Behind it a job, and an entry as it lies in memory elsewhere.
  const job = row + <usize>((columns + 3) & ~3) * 4;
  const copy = job + 64;
  const factor = f32x4.splat(<f32>command.scale);
  for (let r = command.takeItem(); r < command.numRows; r = command.takeItem()) {
    // A negative id is large as an unsigned number.
    const id = load<u32>(command.ids + (<usize>r << 2));
    if (id >= command.entries) memory.fill(row, 0, <usize>columns << 2);
    else if (command.tableBase == 0) loadRowOf(table, id, row, columns);
    else {
      const entry = command.tableBase + <i64>(table.address + <usize>id * table.stride);
      copyBytesFar(job, <i64>copy, entry, command.entryBytes);
      loadRow(table.type, row, copy, columns);
    }
    if (command.scale != 1) {
      for (let i: usize = 0; i < <usize>columns << 2; i += 16) {
        v128.store(row + i, f32x4.mul(v128.load(row + i), factor));
      }
    }
    storeRowOf(command.out, r, row, columns);
  }
}
