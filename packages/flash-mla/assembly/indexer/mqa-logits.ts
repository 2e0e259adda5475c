/** Logits of the lightning indexer; see src/ops/indexer. */

import { decodeE4m3 } from '../decode/e4m3';
import { dot1x4 } from '../gemm/dot';
import { MqaLogits } from '../generated/indexer';

const DIM: usize = 128;
/** Columns that one item handles. */
const CHUNK: i32 = 128;

export function mqaLogits(command: MqaLogits): void {
  const rows = command.numRows;
  const heads = command.numHeads;
  const columns = command.columns;
  const starts = command.starts;
  const weights = command.weights;
  const keys = command.keys;
  const blockTable = command.blockTable;
  const pageSize = command.pageSize;
  const query = command.scratch(command.scratchBytes);
  const padded = (<usize>heads + 3) & ~3;
  const key = query + ((padded * DIM) << 2);
  const sums = key + (DIM << 2);
  const chunks = (columns + CHUNK - 1) / CHUNK;
  let decoded = -1;
  for (let item = command.takeItem(); item < rows * chunks; item = command.takeItem()) {
    const row = item / chunks;
    const from = (item % chunks) * CHUNK;
    const to = min(columns, from + CHUNK);
    const start = starts == 0 ? 0 : max(0, load<i32>(starts + (<usize>row << 2)));
    const end = load<i32>(command.ends + (<usize>row << 2));
    const out = command.logits + <usize>row * command.logitsStride;
    const pages = blockTable + <usize>(row / command.queriesPerRequest) * command.tableStride;
    for (let column = from; column < to; column++) {
      const at = out + (<usize>column << 2);
      if (column < start || column >= end) {
        if (command.cleanLogits) store<f32>(at, -Infinity);
        continue;
      }
      let place = keys + <usize>column * DIM;
      let scale = command.scales + (<usize>column << 2);
      if (blockTable != 0) {
        const page = load<i32>(pages + (<usize>(column / pageSize) << 2));
        if (<u32>page >= <u32>command.numPages) {
          store<f32>(at, -Infinity);
          continue;
        }
        const first = keys + <usize>page * pageSize * (DIM + 4);
        place = first + <usize>(column % pageSize) * DIM;
        scale = first + <usize>pageSize * DIM + (<usize>(column % pageSize) << 2);
      }
      if (decoded != row) {
        decoded = row;
        memory.fill(query, 0, (padded * DIM) << 2);
        decodeE4m3(query, command.q + <usize>row * heads * DIM, heads * <i32>DIM, 1);
      }
      decodeE4m3(key, place, <i32>DIM, 1);
      let sum: f32 = 0;
      for (let head: usize = 0; head < padded; head += 4) {
        dot1x4<f32>(key, query + ((head * DIM) << 2), DIM << 2, <i32>DIM, sums);
        const last = min<usize>(4, <usize>heads - head);
        for (let i: usize = 0; i < last; i++) {
          const weight = load<f32>(weights + ((<usize>row * heads + head + i) << 2));
          sum += weight * max<f32>(0, load<f32>(sums + (i << 2)));
        }
      }
      store<f32>(at, sum * load<f32>(scale));
    }
  }
}
