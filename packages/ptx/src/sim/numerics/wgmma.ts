import type { MatrixSums } from '../machine.ts';
import { cutSum, type SumBits } from './cut-sum.ts';
import { e4m3Value } from './float.ts';
import { type MatrixInput, type Operand, operand } from './fragments.ts';
import { f16Value } from './half.ts';

/** Rows of a warp in the product of its warp group. */
export const rowsOfWarp = 16;
const maxColumns = 256;
const maxDepth = 32;

/** A as the warp at work sees it: element (row, k) at row · depth + k. */
export const groupA = operand(rowsOfWarp);
const a = new Float64Array(rowsOfWarp * maxDepth);
const sums = new Float64Array(rowsOfWarp * maxColumns);

/** B, decoded once for the four warps: element (k, column) at column · depth + k. */
export interface GroupB {
  readonly operand: Operand;
  /** The same in double. */
  readonly double: Float64Array;
}

export const groupB = (): GroupB => ({
  operand: operand(maxColumns),
  double: new Float64Array(maxColumns * maxDepth),
});

/** Steps of the depth of one instruction. */
export const depthOf = (type: MatrixInput): 16 | 32 => (type === 'e4m3' ? 32 : 16);

const range = Array.from({ length: maxDepth }, (_, k) => k);
const places = { 16: range.slice(0, 16), 32: range };

const wide: SumBits = { kept: 25, fraction: 23 };
/**
 * What an H200 keeps of the sum of one instruction. Of e4m3 that is little: the "around 14 bits" that
 * the DeepSeek-V3 report finds on an H800 (arXiv 2412.19437).
 */
const sumBits = { f16: wide, bf16: wide, e4m3: { kept: 13, fraction: 13 } } as const;

/**
 * D (+)= A × B for a warp's 16 rows. `d` are the accumulator's registers, 4 for every 8 columns.
 * `exact` sums in double and rounds once with the accumulator; `h200` cuts off as the hardware does.
 */
export function multiplyRows(
  type: MatrixInput,
  columns: number,
  b: GroupB,
  registers: { readonly I: Int32Array; readonly F: Float32Array },
  d: readonly number[],
  add: boolean,
  how: MatrixSums,
): void {
  const depth = depthOf(type);
  if (how === 'h200') {
    addCut(type, b.operand, depth, registers.F, d, add);
  } else {
    a.set(groupA.single);
    products(b.double, columns, depth);
    addSums(columns, registers.F, d, add);
  }
  // Arithmetic gives one NaN pattern, which is not the one of JavaScript.
  const { I, F } = registers;
  for (const into of d) {
    for (let at = into; at < into + 32; at++) if (Number.isNaN(F[at])) I[at] = 0x7fffffff;
  }
}

/** Lane l holds, in register i, row l/4 (+ 8) and column 2·(l mod 4) + 8·(i/4). */
function addSums(columns: number, F: Float32Array, d: readonly number[], add: boolean): void {
  for (let i = 0; i < d.length; i++) {
    let into = d[i];
    let from = ((i >> 1) & 1) * 8 * columns + (i >> 2) * 8 + (i & 1);
    for (let row = 0; row < 8; row++) {
      if (add) {
        F[into] = sums[from] + F[into];
        F[into + 1] = sums[from + 2] + F[into + 1];
        F[into + 2] = sums[from + 4] + F[into + 2];
        F[into + 3] = sums[from + 6] + F[into + 3];
      } else {
        F[into] = sums[from];
        F[into + 1] = sums[from + 2];
        F[into + 2] = sums[from + 4];
        F[into + 3] = sums[from + 6];
      }
      into += 4;
      from += columns;
    }
  }
}

function addCut(
  type: MatrixInput,
  b: Operand,
  depth: 16 | 32,
  F: Float32Array,
  d: readonly number[],
  add: boolean,
): void {
  for (let i = 0; i < d.length; i++) {
    const row = ((i >> 1) & 1) * 8;
    const column = (i >> 2) * 8 + (i & 1);
    for (let l = 0; l < 32; l++) {
      const at = d[i] + l;
      const x = (row + (l >> 2)) * depth;
      const y = (column + (l & 3) * 2) * depth;
      F[at] = cutSum(groupA, x, b, y, places[depth], add ? F[at] : 0, sumBits[type]);
    }
  }
}

/** Two rows and four columns at a time: few loads for many products. */
function products(b: Float64Array, columns: number, depth: number): void {
  for (let row = 0; row < rowsOfWarp; row += 2) {
    const x0 = row * depth;
    const x1 = x0 + depth;
    for (let column = 0; column < columns; column += 4) {
      const y0 = column * depth;
      const y1 = y0 + depth;
      const y2 = y1 + depth;
      const y3 = y2 + depth;
      let s00 = 0;
      let s01 = 0;
      let s02 = 0;
      let s03 = 0;
      let s10 = 0;
      let s11 = 0;
      let s12 = 0;
      let s13 = 0;
      for (let k = 0; k < depth; k++) {
        const p = a[x0 + k];
        const q = a[x1 + k];
        const u0 = b[y0 + k];
        const u1 = b[y1 + k];
        const u2 = b[y2 + k];
        const u3 = b[y3 + k];
        s00 += p * u0;
        s01 += p * u1;
        s02 += p * u2;
        s03 += p * u3;
        s10 += q * u0;
        s11 += q * u1;
        s12 += q * u2;
        s13 += q * u3;
      }
      const at = row * columns + column;
      sums[at] = s00;
      sums[at + 1] = s01;
      sums[at + 2] = s02;
      sums[at + 3] = s03;
      const below = at + columns;
      sums[below] = s10;
      sums[below + 1] = s11;
      sums[below + 2] = s12;
      sums[below + 3] = s13;
    }
  }
}

const f16Table = Float32Array.from({ length: 65536 }, (_, bits) => f16Value(bits));
const e4m3Table = Float32Array.from({ length: 256 }, (_, code) => e4m3Value(code));

/** A from fragments: registers 0–3 hold rows l/4 and l/4 + 8 of both halves of the depth. */
export function decodeFragments(
  type: MatrixInput,
  I: Int32Array,
  fragments: readonly number[],
): void {
  const depth = depthOf(type);
  fragments.forEach((register, r) => {
    for (let l = 0; l < 32; l++) {
      const row = (r & 1) * 8 + (l >> 2);
      const at = row * depth + ((r >> 1) * depth) / 2 + ((l & 3) * depth) / 8;
      decodeWord(type, I[register + l], groupA, at, 1);
    }
  });
}

/** The elements of a 16-byte chunk, `step` places apart. */
export function decodeChunk(
  type: MatrixInput,
  words: Int32Array,
  word: number,
  into: Operand,
  at: number,
  step: number,
): void {
  const perWord = type === 'e4m3' ? 4 : 2;
  for (let i = 0; i < 4; i++)
    decodeWord(type, words[word + i], into, at + i * perWord * step, step);
}

function decodeWord(
  type: MatrixInput,
  word: number,
  { single, bits }: Operand,
  at: number,
  step: number,
): void {
  if (type === 'bf16') {
    bits[at] = word << 16;
    bits[at + step] = word & 0xffff0000;
  } else if (type === 'f16') {
    single[at] = f16Table[word & 0xffff];
    single[at + step] = f16Table[word >>> 16];
  } else {
    for (let i = 0; i < 4; i++) single[at + i * step] = e4m3Table[(word >>> (8 * i)) & 0xff];
  }
}
