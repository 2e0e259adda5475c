import type { Site, Warp } from '../machine.ts';
import { e4m3Value } from './float.ts';
import type { MatrixInput } from './fragments.ts';
import { f16Value } from './half.ts';

/** Registers of a warp group's multiplication, and how its matrices lie. */
export interface GroupOperands {
  readonly type: MatrixInput;
  readonly columns: number;
  /** A descriptor's register, or those of a warp's fragments. */
  readonly a: readonly number[];
  readonly b: number;
  readonly transA: boolean;
  readonly transB: boolean;
  /** The accumulator: 4 registers for every 8 columns. */
  readonly d: readonly number[];
}

const rowsOfWarp = 16;
const maxDepth = 32;
/** Element (row, k) at row · depth + k; B by columns. */
const a = new Float32Array(rowsOfWarp * maxDepth);
const b = new Float32Array(256 * maxDepth);
const sums = new Float64Array(rowsOfWarp * 256);

const f16Table = Float32Array.from({ length: 65536 }, (_, bits) => f16Value(bits));
const e4m3Table = Float32Array.from({ length: 256 }, (_, code) => e4m3Value(code));
const bf16Word = new Int32Array(1);
const bf16Single = new Float32Array(bf16Word.buffer);

/** Computes a warp's 16 rows: sums in double, rounded once with the accumulator. */
export function multiplyGroup(w: Warp, site: Site, operands: GroupOperands, add: boolean): void {
  const { type, columns, d } = operands;
  const depth = type === 'e4m3' ? 32 : 16;
  if (operands.a.length === 4) fromRegisters(w, type, operands.a, depth);
  else {
    const first = (w.id & 3) * rowsOfWarp;
    readMatrix(w, site, operands.a[0], type, operands.transA, first, rowsOfWarp, depth, a);
  }
  readMatrix(w, site, operands.b, type, operands.transB, 0, columns, depth, b);
  products(columns, depth);
  const { I, F } = w;
  for (let i = 0; i < d.length; i++) {
    const into = d[i];
    const column = (i >> 2) * 8 + (i & 1);
    const row = ((i >> 1) & 1) * 8;
    for (let l = 0; l < 32; l++) {
      const sum = sums[(row + (l >> 2)) * columns + column + (l & 3) * 2];
      const value = add ? sum + F[into + l] : sum;
      F[into + l] = value;
      if (Number.isNaN(value)) I[into + l] = 0x7fffffff;
    }
  }
}

function products(columns: number, depth: number): void {
  for (let row = 0; row < rowsOfWarp; row += 2) {
    const x0 = row * depth;
    const x1 = x0 + depth;
    for (let column = 0; column < columns; column += 4) {
      const y0 = column * depth;
      const y1 = y0 + depth;
      const y2 = y1 + depth;
      const y3 = y2 + depth;
      let [s00, s01, s02, s03, s10, s11, s12, s13] = [0, 0, 0, 0, 0, 0, 0, 0];
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

const single16 = (type: MatrixInput, bits: number): number => {
  if (type === 'f16') return f16Table[bits];
  bf16Word[0] = bits << 16;
  return bf16Single[0];
};

/** A's fragments: registers 0–3 hold rows l/4 and l/4 + 8 of both halves of the depth. */
function fromRegisters(w: Warp, type: MatrixInput, registers: readonly number[], depth: number) {
  registers.forEach((register, r) => {
    for (let l = 0; l < 32; l++) {
      const word = w.I[register + l];
      const row = (r & 1) * 8 + (l >> 2);
      const at = row * depth + (r >> 1) * (depth / 2) + ((l & 3) * depth) / 8;
      if (type === 'e4m3') {
        for (let i = 0; i < 4; i++) a[at + i] = e4m3Table[(word >>> (8 * i)) & 0xff];
      } else {
        a[at] = single16(type, word & 0xffff);
        a[at + 1] = single16(type, word >>> 16);
      }
    }
  });
}

/**
 * Reads `lines` rows of A or columns of B, from `first` on, as the tensor cores address them: the
 * swizzle permutes 16-byte chunks by bits of the physical address.
 */
function readMatrix(
  w: Warp,
  site: Site,
  register: number,
  type: MatrixInput,
  mnMajor: boolean,
  first: number,
  lines: number,
  depth: number,
  into: Float32Array,
): void {
  const low = w.I[register];
  const high = w.I[register + 32];
  for (let l = 1; l < 32; l++) {
    if (w.I[register + l] !== low || w.I[register + 32 + l] !== high) {
      w.fault('divergence', site, 'the lanes of a warp group name different matrices', l);
    }
  }
  const start = (low & 0x3fff) << 4;
  const leading = ((low >>> 16) & 0x3fff) << 4;
  const stride = (high & 0x3fff) << 4;
  const code = high >>> 30;
  if (code === 0) w.fault('misaligned', site, 'matrices without a swizzle are not simulated');
  const width = 256 >> code;
  const mask = (width >> 4) - 1;
  const chunk = (offset: number) => {
    const address = start + offset;
    return w.shared.row(w, site, 0, address ^ (((address >> 7) & mask) << 4), false);
  };
  const { words } = w.shared;
  if (!mnMajor) {
    const chunks = 2;
    const perChunk = depth / chunks;
    for (let i = 0; i < lines; i++) {
      const line = first + i;
      const row = (line >> 3) * stride + (line & 7) * width;
      for (let c = 0; c < chunks; c++) {
        decode(type, words, chunk(row + c * 16), into, i * depth + c * perChunk, 1);
      }
    }
    return;
  }
  const perTile = width / 2;
  for (let k = 0; k < depth; k++) {
    const row = (k >> 3) * stride + (k & 7) * width;
    for (let i = 0; i < lines; i += 8) {
      const line = first + i;
      const offset = Math.floor(line / perTile) * leading + (line % perTile) * 2;
      decode(type, words, chunk(row + offset), into, i * depth + k, depth);
    }
  }
}

/** The elements of a chunk, `step` places apart. */
function decode(
  type: MatrixInput,
  words: Int32Array,
  word: number,
  into: Float32Array,
  at: number,
  step: number,
): void {
  if (type === 'e4m3') {
    for (let i = 0; i < 16; i++) {
      into[at + i * step] = e4m3Table[(words[word + (i >> 2)] >>> (8 * (i & 3))) & 0xff];
    }
    return;
  }
  for (let i = 0; i < 4; i++) {
    const pair = words[word + i];
    into[at + 2 * i * step] = single16(type, pair & 0xffff);
    into[at + (2 * i + 1) * step] = single16(type, pair >>> 16);
  }
}
