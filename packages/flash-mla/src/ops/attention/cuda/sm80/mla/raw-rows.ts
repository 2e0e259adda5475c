import type { Ops, Pointer, SharedRow, Value } from '@flash-mla/ptx';
import { type Alignment, chunkBytes, copyChunk } from '../../../../kernel-lib/cuda/sm80/copy.ts';
import type { Steps } from '../../../../kernel-lib/cuda/sm80/steps.ts';
import type { KeySource, RowLookup } from './keys.ts';
import type { WarpPlace } from './place.ts';
import type { MlaShared } from './shared.ts';
import { ctaThreads, type MlaTile, tileShape } from './tile.ts';

/**
 * What follows each raw row, in bytes: rows an odd number of 16-byte chunks apart have equal columns in
 * different banks, whichever eight of them an `ldmatrix` reads, without a swizzle.
 */
export const rawRowPadding = (width: number): number =>
  (width / chunkBytes) % 2 === 0 ? chunkBytes : 0;

/** A thread's part in copying `rows` rows at once: a row, and the first of its chunks. */
export interface RowShare {
  readonly row: Value<'u32'>;
  readonly share: Value<'u32'>;
  /** Threads that share a row. */
  readonly threads: number;
}

/** Eight neighbouring threads write to different rows where they can: no two to the same banks. */
export function rowShare(place: WarpPlace, rows: number): RowShare {
  const threads = ctaThreads / rows;
  const rowsPerWarp = 32 / threads;
  return {
    row: place.lane.and(rowsPerWarp - 1).add(place.warp.mul(rowsPerWarp)),
    share: place.lane.shr(Math.log2(rowsPerWarp)),
    threads,
  };
}

/** An e4m3 row on its way to shared memory as it is. */
export interface RawRowCopy {
  readonly to: SharedRow<'e4m3'>;
  readonly from: Pointer<'global', 'e4m3'>;
  readonly share: RowShare;
  /** Columns to write. Those at or beyond `columns` become 0. */
  readonly width: number;
  readonly columns: number;
  readonly alignment: Alignment;
  /** Rows that are absent become 0. */
  readonly present: Value<'pred'>;
}

/** Copies a thread's share of a raw row; nothing where `wanted` is given and does not hold. */
export function* copyRawRow(k: Ops, row: RawRowCopy, wanted?: Value<'pred'>): Steps {
  const { alignment, present } = row;
  const { share, threads } = row.share;
  const chunks = row.width / chunkBytes;
  const full = row.columns / chunkBytes;
  const to = row.to.at(share.mul(chunkBytes));
  const from = row.from.at(share.mul(chunkBytes));
  if (alignment < 8) {
    // Loads of a few bytes are many: a loop keeps them from taking all registers at once.
    k.for({ from: share, to: chunks, step: threads, unroll: false }, (chunk) => {
      const byte = chunk.sub(share).mul(chunkBytes);
      const here = present.and(chunk.lt(full));
      copyChunk(k, to.bytes(byte), from.bytes(byte), alignment, here, wanted);
    });
    return;
  }
  for (let first = 0; first < chunks; first += threads) {
    const here =
      first + threads <= full
        ? present
        : first >= full
          ? share.lt(0)
          : present.and(share.lt(full - first));
    const byte = first * chunkBytes;
    const copy = () => copyChunk(k, to.bytes(byte), from.bytes(byte), alignment, here, wanted);
    if (first + threads <= chunks) copy();
    else k.if(share.lt(chunks - first), copy);
    yield;
  }
}

/** Key rows of e4m3 that are copied as they are. */
export function rawKeys(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  lookup: RowLookup,
  alignment: Alignment,
): KeySource {
  const { width } = tileShape(tile);
  const share = rowShare(place, tile.tokens);
  return {
    seek: lookup.seek,
    *fetch(t, stage, wanted) {
      lookup.note?.(t, stage);
      const { present, from } = lookup.locate(t, 0);
      const to = shared.rawKeys.row(stage, share.row);
      const columns = { width, columns: tile.headDimQk };
      yield* copyRawRow(
        k,
        { to, from: from.as('e4m3'), share, alignment, present, ...columns },
        wanted,
      );
    },
  };
}
