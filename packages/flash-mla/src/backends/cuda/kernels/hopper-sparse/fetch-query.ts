import {
  type Ops,
  type Pointer,
  packPair,
  unpackBf16x2,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import { headDimV, keyTiles, tileBytes, tileColumns, tileRows } from '../hopper/tile.ts';
import type { QuerySource } from '../hopper/work.ts';
import { type ProducerPlace, publish } from './place.ts';
import { type SparseShared, tokenLanes } from './tile.ts';

const rowsAtOnce = 128 / tokenLanes;
const segments = headDimV / tileColumns;

/**
 * Copies the query rows of a pass to shared memory, in the order of columns that keys have, and turns
 * what meets values into f16 unless the pass is `isWide`. Returns into `bad` whether one does not fit.
 */
export function fetchQuery(
  k: Ops,
  shared: SparseShared,
  place: ProducerPlace,
  source: QuerySource<'bf16'>,
  parity: Value<'u32'>,
  isWide: Value<'pred'>,
  bad: Var<'pred'>,
): void {
  const { chunk, warp, firstToken } = place;
  k.mbarrierWait(shared.queryEmpty.at(0), parity);
  const first = k.mad(warp, rowsAtOnce / 4, firstToken);
  const range = { from: first, to: tileRows, step: rowsAtOnce, unroll: false } as const;
  /** Where the row's chunks go, by segment of 64 columns. */
  const targets = (row: Value<'u32'>): Pointer<'shared', 'f16'>[] => {
    const start = shared.query.pointer.bytes(row.shl(7)).folded();
    const swizzle = row.and(7);
    const within = chunk.shr(1).xor(swizzle).shl(4);
    const own = start.bytes(k.mad(chunk.and(1), tileBytes, within)).folded();
    const other = start.bytes(k.mad(chunk.and(1), tileBytes, within.xor(64))).folded();
    const rope = start.bytes(chunk.xor(swizzle).shl(4)).folded();
    const values = Array.from({ length: segments }, (_, i) =>
      (i % 2 === 0 ? own : other).bytes((i >> 1) * 2 * tileBytes),
    );
    return [...values, rope.bytes(segments * tileBytes)];
  };
  k.for(range, (row) => {
    const present = row.lt(source.count);
    const from = source
      .pointer(k.select(present, row, 0))
      .at(chunk.shl(3))
      .folded();
    const sourceBytes = k.select(present, 16, 0, 'u32');
    const to = targets(row);
    for (let i = 0; i < keyTiles; i++) {
      k.cpAsync(to[i].as('bf16'), from.at(i * tileColumns), 16, { sourceBytes });
    }
  });
  k.cpAsyncWaitAll();
  k.if(
    isWide.not(),
    () => {
      const found = k.var('b32', 0);
      k.for(range, (row) => {
        for (const to of targets(row).slice(0, segments)) {
          const words = to.as('b32').loadVec(4);
          const halves = words.map((word) => {
            found.set(found.or(tooLarge(word)));
            const [lo, hi] = unpackBf16x2(k, word.as('bf16x2'));
            return packPair(k, 'f16', lo, hi).as('b32');
          });
          to.as('b32').storeVec(halves);
        }
      });
      bad.set(bad.or(found.ne(0)));
    },
    { uniform: true },
  );
  publish(k, place, shared.queryFull.at(0));
}

/** Sets the upper bit of a half that is 2^16 or more, infinite or NaN in bf16. */
function tooLarge(pair: Value<'b32'>): Value<'b32'> {
  return pair.and(0x7fff7fff).as('u32').add(0x38803880).as('b32').and(0x80008000);
}
