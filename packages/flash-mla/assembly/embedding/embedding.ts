/** Rows of a table; see src/ops/embedding. */

import { loadRowOf, storeRowOf } from '../elements';
import { Embedding } from '../generated/embedding';

export function embedding(command: Embedding): void {
  const columns = command.columns;
  const row = command.scratch(command.scratchBytes);
  const factor = f32x4.splat(<f32>command.scale);
  for (let r = command.takeItem(); r < command.numRows; r = command.takeItem()) {
    // A negative id is large as an unsigned number.
    const id = load<u32>(command.ids + (<usize>r << 2));
    if (id < command.entries) loadRowOf(command.table, id, row, columns);
    else memory.fill(row, 0, command.scratchBytes);
    if (command.scale != 1) {
      for (let i: usize = 0; i < <usize>columns << 2; i += 16) {
        v128.store(row + i, f32x4.mul(v128.load(row + i), factor));
      }
    }
    storeRowOf(command.out, r, row, columns);
  }
}
