import { decodeAll, type HostTensor } from '@flash-mla/core';

/** `silu(x[:, :columns]) · x[:, columns:]` in float64. */
export function swiGlu(x: HostTensor): Float64Array {
  const [rows = 0, both = 0] = x.shape;
  const columns = both / 2;
  const values = decodeAll(x);
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < out.length; i++) {
    const at = Math.floor(i / columns) * both + (i % columns);
    const gate = values[at] as number;
    out[i] = (gate / (1 + Math.exp(-gate))) * (values[at + columns] as number);
  }
  return out;
}

/** `target + scale · x` in float64. */
export function addScaled(target: HostTensor, x: HostTensor, scale: number): Float64Array {
  const added = decodeAll(x);
  return decodeAll(target).map((value, i) => value + scale * (added[i] as number));
}
