import {
  e4m3x4ToF16x2,
  type MemType,
  type Ops,
  type Pointer,
  unpackF16x2,
  type Value,
} from '@flash-mla/ptx';
import { loadWords } from '../sm80/copy.ts';
import {
  columnsPerThread,
  loadColumns,
  type Presence,
  type RowDType,
  type RowLayout,
} from './columns.ts';

/** Eight neighbours of a row whose length is known when the kernel runs. */
export function presenceIn(
  column: Value<'u32'>,
  length: Value<'u32'>,
  wholeUnits: boolean,
): Presence {
  const all = column.lt(length);
  return wholeUnits ? { all } : { all, left: length.as('s32').sub(column.as('s32')) };
}

/** Eight weights as float32, without their scale; 0 for those that are not there. */
export function loadWeights(
  k: Ops,
  from: Pointer<'global', MemType>,
  layout: RowLayout,
  presence: Presence,
): readonly Value<'f32'>[] {
  if (layout.dtype !== 'e4m3') return loadColumns(k, from, layout as RowLayout<RowDType>, presence);
  return e4m3Words(k, from, layout, presence).flatMap((word) =>
    e4m3x4ToF16x2(k, word.as('e4m3x4'), { nan: true }).flatMap((pair) => unpackF16x2(k, pair)),
  );
}

/** Eight e4m3 codes as two words. */
export function e4m3Words(
  k: Ops,
  from: Pointer<'global', MemType>,
  { alignment }: RowLayout,
  { all, left }: Presence,
): readonly Value<'b32'>[] {
  if (left === undefined) return loadWords(k, from, 2, alignment, all);
  const words = k.vars('u32', 2, 0);
  for (let i = 0; i < columnsPerThread; i++) {
    k.if(left.gt(i), () => {
      const word = words[i >> 2] as (typeof words)[number];
      word.set(
        word.or(
          from
            .as('u8')
            .bytes(i)
            .load()
            .shl(8 * (i & 3)),
        ),
      );
    });
  }
  return words.map((word) => word.as('b32'));
}
