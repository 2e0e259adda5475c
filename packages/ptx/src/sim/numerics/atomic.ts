import type { Combine } from '../machine.ts';
import { bits, float, flush } from './float.ts';
import { bf16Bits, bf16Value, f16Bits, f16Value } from './half.ts';
import { lessS64, lessU64 } from './integer.ts';

type Words = Int32Array;

const word =
  (f: (old: number, a: number, b: number) => number): Combine =>
  (out, old, a, b) => {
    out[0] = f(old[0], a[0], b[0]);
  };

const halves = (value: (pattern: number) => number, pattern: (x: number) => number): Combine =>
  word(
    (old, a) =>
      pattern(value(old & 0xffff) + value(a & 0xffff)) |
      (pattern(value(old >>> 16) + value(a >>> 16)) << 16),
  );

const pick64 =
  (takesNew: (old: Words, a: Words) => boolean): Combine =>
  (out, old, a) => {
    out.set(takesNew(old, a) ? a : old);
  };

const bitwise =
  (f: (x: number, y: number) => number): Combine =>
  (out, old, a) => {
    out[0] = f(old[0], a[0]);
    out[1] = f(old[1], a[1]);
  };

const table: Record<string, Combine> = {
  'add 32': word((old, a) => (old + a) | 0),
  'add 64': (out, old, a) => {
    out[0] = (old[0] + a[0]) | 0;
    out[1] = (old[1] + a[1] + (out[0] >>> 0 < a[0] >>> 0 ? 1 : 0)) | 0;
  },
  'add f32': word((old, a) => bits(Math.fround(float(old) + float(a)))),
  'add f32 ftz': word((old, a) => bits(flush(Math.fround(flush(float(old)) + flush(float(a)))))),
  'add f16x2': halves(f16Value, f16Bits),
  'add bf16x2': halves(bf16Value, bf16Bits),
  'min u32': word((old, a) => (a >>> 0 < old >>> 0 ? a : old)),
  'max u32': word((old, a) => (a >>> 0 > old >>> 0 ? a : old)),
  'min s32': word((old, a) => Math.min(old, a)),
  'max s32': word((old, a) => Math.max(old, a)),
  'min u64': pick64((old, a) => lessU64(a[0], a[1], old[0], old[1])),
  'max u64': pick64((old, a) => lessU64(old[0], old[1], a[0], a[1])),
  'min s64': pick64((old, a) => lessS64(a[0], a[1], old[0], old[1])),
  'max s64': pick64((old, a) => lessS64(old[0], old[1], a[0], a[1])),
  and: bitwise((x, y) => x & y),
  or: bitwise((x, y) => x | y),
  xor: bitwise((x, y) => x ^ y),
  exch: (out, _, a) => out.set(a),
  'cas 32': word((old, a, b) => (old === a ? b : old)),
  'cas 64': (out, old, a, b) => out.set(old[0] === a[0] && old[1] === a[1] ? b : old),
};

/** Who combines: an atomic on global or shared memory, or a bulk reduction (to global memory). */
export type CombineUnit = 'global' | 'shared' | 'bulk';

/** The meaning of an atomic. Only atomic float sums on global memory flush subnormals. */
export function combineOf(op: string, type: string, unit: CombineUnit): Combine {
  const width = type.endsWith('64') ? '64' : '32';
  const name =
    op === 'add' && type === 'f32'
      ? unit === 'global'
        ? 'add f32 ftz'
        : 'add f32'
      : op === 'add' && type.endsWith('x2')
        ? `add ${type}`
        : op === 'add' || op === 'cas'
          ? `${op} ${width}`
          : op === 'min' || op === 'max'
            ? `${op} ${type}`
            : op;
  return table[name];
}
