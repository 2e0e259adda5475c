import {
  e4m3x4ToF16x2,
  type MemType,
  type Ops,
  type Pointer,
  type SharedRow,
  type Value,
} from '@flash-mla/ptx';
import type { Element } from '../element.ts';
import { drain, type Steps } from './steps.ts';

/** Largest power of two, at most 16, that divides every address to be read. */
export type Alignment = 1 | 2 | 4 | 8 | 16;

export const asAlignment = (n: number): Alignment => Math.min(n, 16) as Alignment;

/** Bytes that one thread copies at a time: a chunk. */
export const chunkBytes = 16;
/** Threads that copy a 128-byte segment of a row. */
export const segmentChunks = 8;
/** Columns of a segment and of a chunk, of 16 bits. */
export const segmentColumns = 64;
export const chunkColumns = 8;

/**
 * `words` 32-bit words from global memory, by loads as wide as the alignment allows; 0 where `present`
 * does not hold.
 */
export function loadWords(
  k: Ops,
  from: Pointer<'global', MemType>,
  words: 1 | 2 | 4,
  alignment: Alignment,
  present: Value<'pred'>,
): Value<'b32'>[] {
  const result = k.vars('b32', words, 0);
  k.if(present, () => {
    if (alignment >= 4) {
      const vector = Math.min(words, alignment / 4) as 1 | 2 | 4;
      for (let w = 0; w < words; w += vector) {
        const at = from.as('b32').at(w);
        const loaded = vector === 1 ? [at.load({ nc: true })] : at.loadVec(vector, { nc: true });
        loaded.forEach((value, i) => {
          result[w + i].set(value);
        });
      }
      return;
    }
    const element = alignment === 2 ? 'u16' : 'u8';
    const parts = 4 / alignment;
    for (let w = 0; w < words; w++) {
      let word = from
        .as(element)
        .at(w * parts)
        .load({ nc: true });
      for (let i = 1; i < parts; i++) {
        const part = from
          .as(element)
          .at(w * parts + i)
          .load({ nc: true });
        word = word.or(part.shl((32 / parts) * i));
      }
      result[w].set(word.as('b32'));
    }
  });
  return result;
}

/**
 * Copies 16 bytes to shared memory, or zeros where `present` does not hold: asynchronously where the
 * source is aligned, at once otherwise. Does nothing where `wanted` is given and does not hold.
 */
export function copyChunk(
  k: Ops,
  to: Pointer<'shared', MemType>,
  from: Pointer<'global', MemType>,
  alignment: Alignment,
  present: Value<'pred'>,
  wanted?: Value<'pred'>,
): void {
  const copy = copyStarter(k, to, from, alignment, present);
  if (wanted === undefined) copy();
  else k.if(wanted, copy);
}

function copyStarter(
  k: Ops,
  to: Pointer<'shared', MemType>,
  from: Pointer<'global', MemType>,
  alignment: Alignment,
  present: Value<'pred'>,
): () => void {
  if (alignment < 8) {
    return () => to.as('b32').storeVec(loadWords(k, from, 4, alignment, present));
  }
  const bytes = alignment === 16 ? 16 : 8;
  const sourceBytes = k.select<'u32'>(present, bytes, 0, 'u32');
  const options = { sourceBytes, ...(bytes === 16 && ({ l2Prefetch: 128 } as const)) };
  return () => {
    for (let byte = 0; byte < chunkBytes; byte += bytes) {
      k.cpAsync(to.as('b32').bytes(byte), from.as('b32').bytes(byte), bytes, options);
    }
  };
}

/** A row on its way to shared memory; eight threads share it, each takes a chunk of every segment. */
export interface RowCopy<E extends MemType> {
  readonly to: SharedRow<Element>;
  readonly from: Pointer<'global', E>;
  /** The thread's chunk of each segment, 0 to 7. */
  readonly chunk: Value<'u32'>;
  /** Columns to write, whole segments. Those at or beyond `columns` become 0. */
  readonly begin: number;
  readonly end: number;
  readonly columns: number;
  readonly alignment: Alignment;
  /** Rows that are absent become 0. */
  readonly present: Value<'pred'>;
}

/** Copies a row of 16-bit elements; nothing where `wanted` is given and does not hold. */
export function* copyRowInSteps(k: Ops, row: RowCopy<Element>, wanted?: Value<'pred'>): Steps {
  yield* eachChunk(k, row, (to, from, present) =>
    copyChunk(k, to, from, row.alignment, present, wanted),
  );
}

/** Copies a row of 16-bit elements. */
export function copyRow(k: Ops, row: RowCopy<Element>): void {
  drain(copyRowInSteps(k, row));
}

/** Copies a row of e4m3 elements as f16. */
export function copyRowFromE4m3(k: Ops, row: RowCopy<'e4m3'>): void {
  const steps = eachChunk(k, row, (to, from, present) => {
    const words = loadWords(k, from, 2, row.alignment, present);
    const pairs = words.flatMap((word) => e4m3x4ToF16x2(k, word.as('e4m3x4'), { nan: true }));
    to.as('b32').storeVec(pairs.map((pair) => pair.as('b32')));
  });
  drain(steps);
}

function* eachChunk<E extends MemType>(
  k: Ops,
  { to, from, chunk, begin, end, columns, alignment, present }: RowCopy<E>,
  copy: (
    to: Pointer<'shared', Element>,
    from: Pointer<'global', E>,
    present: Value<'pred'>,
  ) => void,
): Steps {
  const firstTo = to.at(chunk.mul(chunkColumns));
  const firstFrom = from.at(chunk.mul(chunkColumns));
  if (alignment < 8) {
    // Loads of a few bytes are many: a loop keeps them from taking all registers at once.
    const range = { from: k.constant('u32', begin), to: end, step: segmentColumns, unroll: false };
    k.for(range, (column) => {
      const here = k.mad(chunk, chunkColumns, column).lt(columns);
      copy(firstTo.at(column), firstFrom.at(column), present.and(here));
    });
    return;
  }
  for (let column = begin; column < end; column += segmentColumns) {
    const left = (columns - column) / chunkColumns;
    const here =
      left >= segmentChunks ? present : left <= 0 ? chunk.lt(0) : present.and(chunk.lt(left));
    copy(firstTo.at(column), firstFrom.at(column), here);
    yield;
  }
}
