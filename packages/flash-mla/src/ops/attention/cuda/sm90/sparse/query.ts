import {
  type Ops,
  type Pointer,
  packPair,
  unpackBf16x2,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import {
  groupWarps,
  headDimV,
  tileBytes,
  tileColumns,
  tileRows,
  warpGroupThreads,
} from '../dense/tile.ts';
import type { QuerySource } from '../dense/work.ts';
import { type ProducerPlace, publish, warpOf } from './place.ts';
import { type SparseShared, tokenLanes } from './tile.ts';

const rowsAtOnce = warpGroupThreads / tokenLanes;
const segments = headDimV / tileColumns;

/** Keys that are converted have an order of columns of their own, see `blockOf`. */
type ColumnOrder = 'of converted keys' | 'of rows';

/** The query rows of a pass, on their way to shared memory in the order of columns that keys have. */
export class QueryRows {
  readonly #k: Ops;
  readonly #shared: SparseShared;
  readonly #place: ProducerPlace;

  /** Tiles of 64 columns. */
  readonly #tiles: number;
  readonly #order: ColumnOrder;

  constructor(
    k: Ops,
    shared: SparseShared,
    place: ProducerPlace,
    tiles: number,
    order: ColumnOrder = 'of converted keys',
  ) {
    this.#tiles = tiles;
    this.#order = order;
    this.#k = k;
    this.#shared = shared;
    this.#place = place;
  }

  /** Starts to copy them when there is room. */
  copy(source: QuerySource<'bf16'>, parity: Value<'u32'>): void {
    const k = this.#k;
    k.mbarrierWait(this.#shared.queryEmpty.at(0), parity);
    k.for(this.#range(), (row) => {
      const present = row.lt(source.count);
      const from = source
        .pointer(k.select(present, row, 0))
        .at(this.#place.chunk.shl(3))
        .folded();
      const sourceBytes = k.select(present, 16, 0, 'u32');
      const to = this.#targets(row);
      for (let i = 0; i < this.#tiles; i++) {
        k.cpAsync(to[i].as('bf16'), from.at(i * tileColumns), 16, { sourceBytes });
      }
    });
  }

  /**
   * Waits for them, turns what meets values into f16 unless the pass is `isWide`, and publishes them. Notes
   * in `bad` whether one does not fit.
   */
  publish(isWide: Value<'pred'>, bad: Var<'pred'>): void {
    const k = this.#k;
    k.cpAsyncWaitAll();
    k.if(
      isWide.not(),
      () => {
        const found = k.var('b32', 0);
        k.for(this.#range(), (row) => {
          for (const to of this.#targets(row).slice(0, segments)) {
            const words = to.as('b32').loadVec(4);
            const halves = words.map((word) => {
              found.set(found.or(tooLarge(word)));
              return toF16(k, word);
            });
            to.as('b32').storeVec(halves);
          }
        });
        bad.set(bad.or(found.ne(0)));
      },
      { uniform: true },
    );
    publish(k, this.#shared.queryFull.at(0));
  }

  /** Lets them be published when they have come, to consumers that fence them. */
  publishCopies(): void {
    this.#k.cpAsyncArrive(this.#shared.queryFull.at(0));
  }

  #range() {
    const { firstToken } = this.#place;
    const from = this.#k.mad(warpOf(this.#place), rowsAtOnce / groupWarps, firstToken);
    return { from, to: tileRows, step: rowsAtOnce, unroll: false } as const;
  }

  /** Where the lane's chunks of a row go, by segment of 64 columns. */
  #targets(row: Value<'u32'>): Pointer<'shared', 'f16'>[] {
    const { chunk } = this.#place;
    const start = this.#shared.query.pointer.bytes(row.shl(7)).folded();
    const swizzle = row.and(7);
    const within = chunk.shr(1).xor(swizzle).shl(4);
    const tile = chunk.and(1);
    const own = start.bytes(this.#k.mad(tile, tileBytes, within)).folded();
    const other = start.bytes(this.#k.mad(tile, tileBytes, within.xor(64))).folded();
    const rope = start.bytes(chunk.xor(swizzle).shl(4)).folded();
    if (this.#order === 'of rows') {
      return Array.from({ length: this.#tiles }, (_, i) => rope.bytes(i * tileBytes));
    }
    const values = Array.from({ length: segments }, (_, i) =>
      (i % 2 === 0 ? own : other).bytes((i >> 1) * 2 * tileBytes),
    );
    return [...values, rope.bytes(segments * tileBytes)];
  }
}

/** Two bf16 as f16. */
export function toF16(k: Ops, word: Value<'b32'>): Value<'b32'> {
  const [lo, hi] = unpackBf16x2(k, word.as('bf16x2'));
  return packPair(k, 'f16', lo, hi).as('b32');
}

/** Sets the upper bit of a half that is 2^16 or more, infinite or NaN in bf16. */
export function tooLarge(pair: Value<'b32'>): Value<'b32'> {
  return pair.and(0x7fff7fff).as('u32').add(0x38803880).as('b32').and(0x80008000);
}
