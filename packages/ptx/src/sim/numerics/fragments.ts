import { e4m3Value } from './float.ts';
import { f16Value } from './half.ts';

/** Input types of a warp's matrix multiplication. */
export type MatrixInput = 'f16' | 'bf16' | 'e4m3';

/** An operand as numbers: one line per row of A or column of B, each as long as the depth. */
export interface Operand {
  readonly single: Float32Array;
  /** The same memory as patterns. */
  readonly bits: Int32Array;
}

/** Memory for operands of up to so many lines. */
export function operand(lines: number): Operand {
  const single = new Float32Array(lines * 32);
  return { single, bits: new Int32Array(single.buffer) };
}

/**
 * Puts a warp's operand registers in their places. A's registers 0–3 hold rows l/4 and l/4 + 8 (odd
 * ones), B's 4 and 5 column l/4; the second half of the depth is in 2, 3 and 5.
 */
export function gather(
  kind: MatrixInput,
  I: Int32Array,
  s: readonly number[],
  a: Operand,
  b: Operand,
): void {
  const depth = kind === 'e4m3' ? 32 : 16;
  for (let r = 0; r < 6; r++) {
    const isA = r < 4;
    const half = isA ? r >> 1 : r - 4;
    const line = isA ? (r & 1) * 8 : 0;
    const to = isA ? a : b;
    const first = line * depth + (half * depth) / 2;
    if (kind === 'e4m3') decodeE4m3(I, s[r], to.single, first);
    else if (kind === 'bf16') decodeBf16(I, s[r], to.bits, first);
    else decodeF16(I, s[r], to.single, first);
  }
}

/** Where register r of lane l lies in the accumulator, which has rows of 8. */
export function accumulatorPlace(r: number, l: number): number {
  return ((l >> 2) + (r >> 1) * 8) * 8 + (l & 3) * 2 + (r & 1);
}

// Lane l holds line l/4 and, of each half of the depth, quarter l mod 4.

function decodeBf16(I: Int32Array, register: number, bits: Int32Array, first: number): void {
  for (let l = 0; l < 32; l++) {
    const word = I[register + l];
    const at = first + (l >> 2) * 16 + (l & 3) * 2;
    bits[at] = word << 16;
    bits[at + 1] = word & 0xffff0000;
  }
}

function decodeF16(I: Int32Array, register: number, single: Float32Array, first: number): void {
  for (let l = 0; l < 32; l++) {
    const word = I[register + l];
    const at = first + (l >> 2) * 16 + (l & 3) * 2;
    single[at] = f16Value(word & 0xffff);
    single[at + 1] = f16Value(word >>> 16);
  }
}

function decodeE4m3(I: Int32Array, register: number, single: Float32Array, first: number): void {
  for (let l = 0; l < 32; l++) {
    const word = I[register + l];
    const at = first + (l >> 2) * 32 + (l & 3) * 4;
    for (let i = 0; i < 4; i++) single[at + i] = e4m3Table[(word >>> (8 * i)) & 0xff];
  }
}

const e4m3Table = Float32Array.from({ length: 256 }, (_, code) => e4m3Value(code));
