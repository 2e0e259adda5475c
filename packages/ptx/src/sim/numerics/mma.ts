import { e4m3Value } from './float.ts';
import { f16Value } from './half.ts';

/**
 * D = A × B + C of one warp, in place of the tensor core.
 *
 * Products are exact and summed in double, and the sum with C is rounded to f32 once. The hardware
 * sums products in groups with fewer bits and truncates, so its result may differ by about
 * 2^-22 of the largest |product| or |C| involved (see `golden/tolerance.ts` for the bound used).
 */
export function multiply(
  kind: 'f16' | 'bf16' | 'e4m3',
  I: Int32Array,
  F: Float32Array,
  d: readonly number[],
  s: readonly number[],
): void {
  const depth = kind === 'e4m3' ? 32 : 16;
  gatherA(kind, depth, I, s);
  gatherB(kind, depth, I, s);
  for (let l = 0; l < 32; l++) {
    for (let r = 0; r < 4; r++) {
      const row = (l >> 2) + (r >> 1) * 8;
      const column = (l & 3) * 2 + (r & 1);
      results[r * 32 + l] = dot(row * depth, column * depth, depth) + F[s[6 + r] + l];
    }
  }
  for (let r = 0; r < 4; r++) {
    const base = d[r];
    for (let l = 0; l < 32; l++) {
      const value = results[r * 32 + l];
      F[base + l] = value;
      if (Number.isNaN(value)) I[base + l] = 0x7fffffff;
    }
  }
}

const a = new Float64Array(16 * 32);
const b = new Float64Array(8 * 32);
const results = new Float64Array(4 * 32);

function dot(x: number, y: number, depth: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let k = 0; k < depth; k += 4) {
    s0 += a[x + k] * b[y + k];
    s1 += a[x + k + 1] * b[y + k + 1];
    s2 += a[x + k + 2] * b[y + k + 2];
    s3 += a[x + k + 3] * b[y + k + 3];
  }
  return s0 + s1 + (s2 + s3);
}

/** Register r of lane l: rows l/4 + 8·(r mod 2), depth from (l mod 4)·elements + half·(r div 2). */
function gatherA(kind: string, depth: number, I: Int32Array, s: readonly number[]): void {
  const perRegister = depth / 8;
  for (let r = 0; r < 4; r++) {
    for (let l = 0; l < 32; l++) {
      const row = (l >> 2) + (r & 1) * 8;
      const column = (l & 3) * perRegister + (r >> 1) * (depth / 2);
      decode(kind, I[s[r] + l], a, row * depth + column);
    }
  }
}

function gatherB(kind: string, depth: number, I: Int32Array, s: readonly number[]): void {
  const perRegister = depth / 8;
  for (let r = 0; r < 2; r++) {
    for (let l = 0; l < 32; l++) {
      const row = (l & 3) * perRegister + r * (depth / 2);
      decode(kind, I[s[4 + r] + l], b, (l >> 2) * depth + row);
    }
  }
}

const word = new Int32Array(1);
const wordF = new Float32Array(word.buffer);

function decode(kind: string, bits: number, to: Float64Array, at: number): void {
  if (kind === 'bf16') {
    word[0] = bits << 16;
    to[at] = wordF[0];
    word[0] = bits & 0xffff0000;
    to[at + 1] = wordF[0];
  } else if (kind === 'f16') {
    to[at] = f16Value(bits & 0xffff);
    to[at + 1] = f16Value(bits >>> 16);
  } else {
    for (let i = 0; i < 4; i++) to[at + i] = e4m3Table[(bits >>> (8 * i)) & 0xff];
  }
}

const e4m3Table = Float64Array.from({ length: 256 }, (_, code) => e4m3Value(code));
