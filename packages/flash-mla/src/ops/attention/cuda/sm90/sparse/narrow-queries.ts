import { type Ops, type Pointer, packPair, unpackBf16x2, type Value } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import {
  barrierId,
  consumers,
  consumerWarps,
  tileBytes,
  tileRows,
  valueTiles,
  warpGroupThreads,
} from '../dense/tile.ts';
import type { SparseShared } from './tile.ts';

/** Lanes that read 16 bytes each of a row of a tile. */
const rowLanes = 8;
/** Tiles that a warp reads a row of at once, and rows whose loads are under way together. */
const tilesAtOnce = 32 / rowLanes;
const rowsAtOnce = 4;
const warpRows = tileRows / consumerWarps;

/**
 * Waits for the queries of a pass and turns those columns that meet values into f16, where they lie, unless the pass
 * `isWide`; by all threads of both consumers, each of whose warps has rows of its own. Tells the producer whether all
 * of them fit.
 *
 * A row fits if f16 has all of its bits that count: no magnitude of 2¹⁶ or more, and one of 2⁻⁸ or more, since the
 * steps of f16 end at 2⁻²⁴; or if all of it is 0. Consumers have the registers to look at it, the producer has not.
 */
export function narrowQueries(
  k: Ops,
  shared: SparseShared,
  place: ConsumerPlace,
  parity: Value<'u32'>,
  isWide: Value<'pred'>,
): void {
  k.mbarrierWait(shared.queryFull.at(0), parity);
  const misfits = k.var('pred', false);
  const first = place.consumer.shl(2).add(place.warpRow.shr(4)).mul(warpRows);
  const lanes = k.mad(
    place.lane.shr(Math.log2(rowLanes)),
    tileBytes,
    place.lane.and(rowLanes - 1).shl(4),
  );
  const start = shared.query.pointer
    .bytes(k.mad(first, 128, lanes))
    .folded()
    .as('b32');
  k.if(
    isWide.not(),
    () => {
      k.for({ from: 0, to: warpRows, step: rowsAtOnce, unroll: false }, (row) => {
        const rows = start.bytes(row.shl(7)).folded();
        const loaded = Array.from({ length: rowsAtOnce }, (_, i) => loadRow(rows.bytes(128 * i)));
        for (const { words, store } of loaded) {
          misfits.set(misfits.or(isMisfit(k, words)));
          store(words.map((word) => toF16(k, word)));
        }
      });
    },
    { uniform: true },
  );
  // What copies brought, and what has been stored, becomes visible to multiplications of both consumers.
  k.fenceProxyAsync('shared::cta');
  const any = k.barrierAny(misfits, barrierId.consumers, consumers * warpGroupThreads);
  k.if(place.thread.or(place.consumer).eq(0), () => {
    shared.queryMisfits.at(0).store(k.select(any, 1, 0, 'u32'));
    k.mbarrierArrive(shared.queryJudged.at(0));
  });
}

/** A lane's words of a row. */
function loadRow(row: Pointer<'shared', 'b32'>) {
  const places = Array.from({ length: valueTiles / tilesAtOnce }, (_, i) =>
    row.bytes(i * tilesAtOnce * tileBytes),
  );
  return {
    words: places.flatMap((place) => place.loadVec(4)) as readonly Value<'b32'>[],
    store: (words: readonly Value<'b32'>[]) => {
      for (const [i, place] of places.entries()) place.storeVec(words.slice(4 * i, 4 * i + 4));
    },
  };
}

/** Whether a row, of which each lane of the warp has some words, does not fit. */
function isMisfit(k: Ops, words: readonly Value<'b32'>[]): Value<'pred'> {
  const magnitudes = words.map((word) => word.and(0x7fff7fff).as('u32'));
  const join = (bits: readonly Value<'u32'>[]) => bits.reduce((a, b) => a.or(b));
  const large = join(magnitudes.map(withLarge)).and(upperBits).ne(0);
  const enough = join(magnitudes.map((m) => m.add(0x44804480)))
    .and(upperBits)
    .ne(0);
  const some = join(magnitudes).ne(0);
  return k.any(large).or(k.any(some).and(k.any(enough).not()));
}

const upperBits = 0x80008000;
const withLarge = (magnitude: Value<'u32'>): Value<'u32'> => magnitude.add(0x38803880);

/** Two bf16 as f16. */
export function toF16(k: Ops, word: Value<'b32'>): Value<'b32'> {
  const [lo, hi] = unpackBf16x2(k, word.as('bf16x2'));
  return packPair(k, 'f16', lo, hi).as('b32');
}

/** Sets the upper bit of a half that is 2^16 or more, infinite or NaN in bf16. */
export function tooLarge(pair: Value<'b32'>): Value<'b32'> {
  return withLarge(pair.and(0x7fff7fff).as('u32')).as('b32').and(upperBits);
}
