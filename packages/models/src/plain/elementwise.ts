import type { Rotation } from '../layers/rotary.ts';
import { matrix, type PlainMatrix } from './matrix.ts';

/** Norms `count` values at `from`, times the gain, to `to` of another array (or the same). */
export function normRow(
  x: Float32Array,
  from: number,
  count: number,
  gain: Float32Array,
  eps: number,
  out: Float32Array,
  to: number,
): void {
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (x[from + i] as number) ** 2;
  const factor = 1 / Math.sqrt(squares / count + eps);
  for (let i = 0; i < count; i++) {
    out[to + i] = (x[from + i] as number) * factor * (gain[i] as number);
  }
}

/** silu(gate) ⊙ up of rows that hold the gate first. */
export function swiGlu(gateUp: PlainMatrix): PlainMatrix {
  const width = gateUp.columns / 2;
  const out = matrix(gateUp.rows, width);
  for (let row = 0; row < gateUp.rows; row++) {
    const at = row * gateUp.columns;
    for (let i = 0; i < width; i++) {
      const gate = gateUp.data[at + i] as number;
      const up = gateUp.data[at + width + i] as number;
      out.data[row * width + i] = (gate / (1 + Math.exp(-gate))) * up;
    }
  }
  return out;
}

/** Rotates the pairs of the values at `at` by the angles of a row, in place. */
export function rotate(x: Float32Array, at: number, rotation: Rotation, row: number): void {
  const { cos, sin, pairs, pairing } = rotation;
  const halves = pairing === 'halves';
  for (let i = 0; i < pairs; i++) {
    const first = at + (halves ? i : 2 * i);
    const second = first + (halves ? pairs : 1);
    const c = cos[row * pairs + i] as number;
    const s = sin[row * pairs + i] as number;
    const a = x[first] as number;
    const b = x[second] as number;
    x[first] = a * c - b * s;
    x[second] = a * s + b * c;
  }
}

/** target += x · scale, in place. */
export function addScaled(target: PlainMatrix, x: PlainMatrix, scale: number): void {
  for (let i = 0; i < target.data.length; i++) {
    target.data[i] = (target.data[i] as number) + (x.data[i] as number) * scale;
  }
}

/** x *= scale */
export function scaleBy(x: PlainMatrix, scale: number): void {
  for (let i = 0; i < x.data.length; i++) x.data[i] = (x.data[i] as number) * scale;
}
