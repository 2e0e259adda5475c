import type { Body } from '../builder/body.ts';
import { arg } from '../builder/operand.ts';
import type { Pointer } from '../builder/pointer.ts';
import type { Value, Var } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { MemType } from '../ir/types.ts';
import type { Site, Warp } from '../sim/machine.ts';
import { multiply } from '../sim/numerics/mma.ts';
import { multiplyH200 } from '../sim/numerics/mma_h200.ts';

interface LdMatrix {
  readonly count: 1 | 2 | 4;
  readonly trans: boolean;
  readonly offset: number;
}

const braces = (names: readonly string[]): string => `{${names.join(', ')}}`;

/** Finds the words of the rows that a warp's addresses name: `rows[8i + r]` is row r of matrix i. */
function rowsOf(w: Warp, site: Site, attrs: LdMatrix, write: boolean): void {
  const count = attrs.count * 8;
  for (let lane = 0; lane < count; lane++) {
    rows[lane] = w.shared.row(w, site, lane, w.I[site.s[0] + lane] + attrs.offset, write);
  }
  w.shared.countRows(rows, count);
}

const rows = new Int32Array(32);

/** Lane l gets word l mod 4 of row l/4. */
function loadPlain(words: Int32Array, firstRow: number, I: Int32Array, register: number): void {
  for (let lane = 0; lane < 32; lane++) {
    I[register + lane] = words[rows[firstRow + (lane >> 2)] + (lane & 3)];
  }
}

/** Lane l gets the elements l/4 of rows 2·(l mod 4) and its neighbour. */
function loadTransposed(
  words: Int32Array,
  firstRow: number,
  I: Int32Array,
  register: number,
): void {
  for (let lane = 0; lane < 32; lane++) {
    const row = firstRow + (lane & 3) * 2;
    const word = lane >> 3;
    const shift = ((lane >> 2) & 1) * 16;
    const low = (words[rows[row] + word] >>> shift) & 0xffff;
    const high = (words[rows[row + 1] + word] >>> shift) & 0xffff;
    I[register + lane] = low | (high << 16);
  }
}

/** Element (row, column) of an 8×8 matrix of 16-bit elements whose row starts at `start`. */
const half = (words: Int32Array, start: number, column: number): number =>
  (words[start + (column >> 1)] >>> ((column & 1) * 16)) & 0xffff;

/**
 * Loads `count` 8×8 matrices of 16-bit elements. Lanes 8i…8i+7 give the addresses of the rows of
 * matrix i; lane l receives of each the elements (l / 4, 2·(l mod 4)) and its right neighbour, or
 * with `trans` of the transposed matrix.
 */
export const ldmatrix = instruction<LdMatrix>({
  name: 'ldmatrix',
  kind: 'matrix',
  convergent: true,
  ptx: ({ count, trans, offset }, dst, [address]) =>
    `ldmatrix.sync.aligned.m8n8.x${count}${trans ? '.trans' : ''}.shared.b16 ${braces(dst)}, [${address}+${offset}]`,
  warp: (attrs, site) => (w) => {
    rowsOf(w, site, attrs, false);
    const { words } = w.shared;
    for (let i = 0; i < attrs.count; i++) {
      if (attrs.trans) loadTransposed(words, i * 8, w.I, site.d[i]);
      else loadPlain(words, i * 8, w.I, site.d[i]);
    }
  },
});

/** Stores what {@link ldmatrix} loads, with the same distribution over lanes. */
export const stmatrix = instruction<LdMatrix>({
  name: 'stmatrix',
  kind: 'matrix',
  convergent: true,
  requires: () => ({ sm: 90, ptx: 78 }),
  ptx: ({ count, trans, offset }, _, [address, ...values]) =>
    `stmatrix.sync.aligned.m8n8.x${count}${trans ? '.trans' : ''}.shared.b16 [${address}+${offset}], ${braces(values)}`,
  warp: (attrs, site) => (w) => {
    rowsOf(w, site, attrs, true);
    const { words } = w.shared;
    for (let i = 0; i < attrs.count; i++) {
      const data = w.I.subarray(site.s[1 + i], site.s[1 + i] + 32);
      for (let word = 0; word < 32; word++) {
        const row = word >> 2;
        const column = (word & 3) * 2;
        words[rows[i * 8 + row] + (word & 3)] = attrs.trans
          ? half(data, column * 4, row) | (half(data, column * 4 + 4, row) << 16)
          : data[word];
      }
    }
  },
});

/** Input types of the matrix multiplications. */
export type MmaType = 'f16' | 'bf16' | 'e4m3';

/** Depth of one multiplication: 32 bytes of each row. */
export const mmaDepth = { f16: 16, bf16: 16, e4m3: 32 } as const;

/** D (16×8, f32) = A (16×k, row) × B (k×8, column) + C, distributed over the warp's lanes. */
export const mma = instruction<{ readonly type: MmaType }>({
  name: 'mma',
  kind: 'matrix',
  convergent: true,
  requires: ({ type }) => (type === 'e4m3' ? { sm: 89, ptx: 84 } : undefined),
  ptx: ({ type }, dst, src) =>
    `mma.sync.aligned.m16n8k${mmaDepth[type]}.row.col.f32.${type}.${type}.f32 ${braces(dst)}, ${braces(src.slice(0, 4))}, ${braces(src.slice(4, 6))}, ${braces(src.slice(6))}`,
  warp:
    ({ type }, { d, s }) =>
    (w) =>
      w.matrixSums === 'h200' ? multiplyH200(type, w.I, w.F, d, s) : multiply(type, w.I, w.F, d, s),
});

/** The register type that carries a fragment of `T`. */
export type FragmentOf<T extends MmaType> = T extends 'f16'
  ? 'f16x2'
  : T extends 'bf16'
    ? 'bf16x2'
    : 'e4m3x4';

const fragmentType = { f16: 'f16x2', bf16: 'bf16x2', e4m3: 'e4m3x4' } as const;

/** Element types whose 8×8 blocks of 16-bit cells `ldmatrix` can fetch; e4m3 goes in pairs. */
export type MatrixElement = Extract<MemType, 'f16' | 'bf16' | 'b16' | 'e4m3'>;

/** The register type of the fragments of an element type. */
export type FragmentOfElement<E extends MatrixElement> = E extends MmaType ? FragmentOf<E> : 'b32';

function fragmentOf<E extends MatrixElement>(element: E): FragmentOfElement<E> {
  const type = element === 'b16' ? 'b32' : fragmentType[element as MmaType];
  return type as FragmentOfElement<E>;
}

/** `N` values of the same type. */
export type Tuple<V, N extends number> = N extends 1
  ? [V]
  : N extends 2
    ? [V, V]
    : N extends 4
      ? [V, V, V, V]
      : V[];

/** Tensor-core instructions of a single warp, and the loads and stores of their fragments. */
export const matrixOps = (body: Body) => ({
  /**
   * Loads `count` 8×8 blocks of 16-bit elements from shared memory into fragments. Lanes 8i…8i+7
   * point at the 16-byte rows of block i (with fewer than 4 blocks the other lanes' pointers are
   * ignored). `trans` transposes each block, which turns row-major data into a column fragment.
   */
  ldmatrix<E extends MatrixElement, N extends 1 | 2 | 4>(
    row: Pointer<'shared', E>,
    count: N,
    options: { trans?: boolean } = {},
  ): Tuple<Value<FragmentOfElement<E>>, N> {
    const type = fragmentOf(row.element);
    const trans = options.trans ?? false;
    const types = new Array<FragmentOfElement<E>>(count).fill(type);
    return body.many(ldmatrix({ count, trans, offset: row.offset }), types, [
      arg('u32', row.base),
    ]) as Tuple<Value<FragmentOfElement<E>>, N>;
  },
  /** The reverse of `ldmatrix` (sm_90 up): stores 1, 2 or 4 fragments as 8×8 blocks. */
  stmatrix<E extends MatrixElement>(
    row: Pointer<'shared', E>,
    fragments: readonly Value<FragmentOfElement<E>>[],
    options: { trans?: boolean } = {},
  ): void {
    const count = fragments.length;
    if (count !== 1 && count !== 2 && count !== 4) {
      throw body.error(`stmatrix stores 1, 2 or 4 fragments, not ${count}`);
    }
    const { offset } = row;
    body.run(stmatrix({ count, trans: options.trans ?? false, offset }), [
      arg('u32', row.base),
      ...fragments.map((f) => arg('b32', f.as32())),
    ]);
  },
  /**
   * acc += A × B on the tensor cores, in place. A is 16×k row-major in 4 registers, B k×8
   * column-major in 2, the accumulator 16×8 in 4 (k: 16 for f16 and bf16; 32 for e4m3, from sm_89).
   * Lane l holds the accumulator's elements (l / 4, 2·(l mod 4) + {0, 1}) in the first two and the
   * same eight rows below in the last two.
   */
  mma<T extends MmaType>(
    type: T,
    acc: readonly Var<'f32'>[],
    a: readonly Value<FragmentOf<T>>[],
    b: readonly Value<FragmentOf<T>>[],
  ): void {
    if (acc.length !== 4 || a.length !== 4 || b.length !== 2) {
      body.fail(
        `mma takes 4 accumulator, 4 A and 2 B registers, not ${acc.length}, ${a.length} and ${b.length}`,
      );
    }
    body.into(mma({ type }), acc, [
      ...a.map((x) => arg('b32', x.as32())),
      ...b.map((x) => arg('b32', x.as32())),
      ...acc.map((x) => arg('f32', x)),
    ]);
  },
});
