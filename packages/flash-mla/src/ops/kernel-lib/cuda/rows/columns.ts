/** Eight neighbouring columns of a row in the registers of a thread: what kernels of rows are made of. */

import {
  f32ToE4m3x2,
  type MemType,
  type Ops,
  type Pointer,
  unpackBf16x2,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import type { Alignment } from '../sm80/copy.ts';

/** Columns of a thread: 16 bytes of bf16. */
export const columnsPerThread = 8;

/** Dtypes that rows are read in, and written in. */
export type RowDType = 'bf16' | 'f32';
export type RowOutDType = RowDType | 'e4m3';

/** How a row lies in memory. `alignment` divides the address of every row. */
export interface RowLayout<D extends RowOutDType = RowOutDType> {
  readonly dtype: D;
  readonly alignment: Alignment;
}

/** Which of eight columns are there: all or none, or those below the end of the row. */
export interface Presence {
  readonly all: Value<'pred'>;
  /** Columns from the first on; given where a row ends within eight columns. */
  readonly left?: Value<'s32'> | undefined;
}

/** The presence of eight columns from `column` on in rows of `columns`. */
export function presenceOf(column: Value<'u32'>, columns: number): Presence {
  const all = column.lt(columns);
  if (columns % columnsPerThread === 0) return { all };
  return { all, left: column.as('s32').neg().add(columns) };
}

/** Loads eight columns as float32; 0 for those that are not there. */
export function loadColumns(
  k: Ops,
  from: Pointer<'global', MemType>,
  { dtype, alignment }: RowLayout<RowDType>,
  { all, left }: Presence,
): Var<'f32'>[] {
  const values = k.vars('f32', columnsPerThread, 0);
  const size = dtype === 'f32' ? 4 : 2;
  if (left !== undefined || alignment < 4) {
    for (let i = 0; i < columnsPerThread; i++) {
      k.if(left === undefined ? all : left.gt(i), () => {
        values[i].set(loadOne(from.bytes(i * size), dtype));
      });
    }
    return values;
  }
  const words = (columnsPerThread * size) / 4;
  const vector = Math.min(4, alignment / 4) as 1 | 2 | 4;
  k.if(all, () => {
    for (let w = 0; w < words; w += vector) {
      const at = from.as('b32').at(w);
      const loaded = vector === 1 ? [at.load()] : at.loadVec(vector);
      loaded.forEach((word, i) => {
        if (dtype === 'f32') {
          values[w + i].set(word.as('f32'));
          return;
        }
        const [lo, hi] = unpackBf16x2(k, word.as('bf16x2'));
        values[2 * (w + i)].set(lo);
        values[2 * (w + i) + 1].set(hi);
      });
    }
  });
  return values;
}

/** One element as float32. */
export function loadOne(from: Pointer<'global', MemType>, dtype: RowDType): Value<'f32'> {
  if (dtype === 'f32') return from.as('f32').load();
  return from.as('u16').load().shl(16).as('f32');
}

/** Stores eight columns, rounded to the dtype of the row; e4m3 takes no part of eight. */
export function storeColumns(
  k: Ops,
  to: Pointer<'global', MemType>,
  { dtype, alignment }: RowLayout,
  { all, left }: Presence,
  values: readonly Value<'f32'>[],
): void {
  const words = encodeColumns(k, dtype, values);
  if (dtype !== 'e4m3' && (left !== undefined || alignment < 4)) {
    const size = dtype === 'f32' ? 4 : 2;
    for (let i = 0; i < columnsPerThread; i++) {
      k.if(left === undefined ? all : left.gt(i), () => {
        const word = words[(i * size) >> 2] as Value<'b32'>;
        const at = to.bytes(i * size);
        if (dtype === 'f32') at.as('b32').store(word);
        else at.as('u16').store((i % 2 === 0 ? word : word.shr(16)).as('u32'));
      });
    }
    return;
  }
  k.if(all, () => {
    if (alignment < 4) {
      words.forEach((word, w) => {
        for (let byte = 0; byte < 4; byte++) {
          const value = word.as('u32').shr(8 * byte);
          to.as('u8')
            .bytes(4 * w + byte)
            .store(value);
        }
      });
      return;
    }
    const vector = Math.min(words.length, alignment / 4, 4);
    for (let w = 0; w < words.length; w += vector) {
      to.as('b32')
        .at(w)
        .storeVec(words.slice(w, w + vector));
    }
  });
}

/** Eight float32 as words of a row. */
export function encodeColumns(
  k: Ops,
  dtype: RowOutDType,
  values: readonly Value<'f32'>[],
): Value<'b32'>[] {
  if (dtype === 'f32') return values.map((value) => value.as('b32'));
  const pairs = Array.from({ length: columnsPerThread / 2 }, (_, i) => [
    values[2 * i] as Value<'f32'>,
    values[2 * i + 1] as Value<'f32'>,
  ]) as [Value<'f32'>, Value<'f32'>][];
  if (dtype === 'bf16') return pairs.map(([lo, hi]) => k.packBf16x2(lo, hi).as('b32'));
  const halves = pairs.map(([lo, hi]) => f32ToE4m3x2(k, lo, hi));
  return [0, 2].map((i) =>
    k.join(halves[i] as Value<'e4m3x2'>, halves[i + 1] as Value<'e4m3x2'>).as('b32'),
  );
}
