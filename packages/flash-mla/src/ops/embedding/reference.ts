import { decodeInto, type HostTensor } from '@flash-mla/core';

/** The rows `scale · table[ids[i]]` in float64; zeros for ids outside the table. */
export function embedding(table: HostTensor, ids: Int32Array, scale: number): Float64Array {
  const [entries = 0, columns = 0] = table.shape;
  const out = new Float64Array(ids.length * columns);
  ids.forEach((id, row) => {
    if (id >= 0 && id < entries) decodeInto(table, id * columns, columns, out, row * columns);
  });
  return out.map((value) => value * scale);
}
