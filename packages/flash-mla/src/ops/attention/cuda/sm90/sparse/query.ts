import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import {
  groupWarps,
  headDimV,
  tileBytes,
  tileColumns,
  tileRows,
  warpGroupThreads,
} from '../dense/tile.ts';
import type { QuerySource } from '../dense/work.ts';
import { type ProducerPlace, warpOf } from './place.ts';
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

  /** Lets them be published when they have come, to consumers that fence them. */
  publish(): void {
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
