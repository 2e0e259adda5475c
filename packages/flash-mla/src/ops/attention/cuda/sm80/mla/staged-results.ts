import { type Ops, packPair } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { rowBytes } from '../../../../kernel-lib/cuda/sm80/fragments.ts';
import type { WarpPlace } from './place.ts';
import type { OutputRows } from './results.ts';
import type { MlaShared } from './shared.ts';
import { ctaWarps, type MlaTile } from './tile.ts';
import { type Outputs, pair } from './values.ts';

/** Columns of a warp: 128 bytes of 16-bit elements, a segment of a key row. */
const segment = 64;
/** 16-byte chunks of a segment. */
const chunks = 8;

/**
 * Whether a tile's outputs can pass through the place of its keys. Warps may still pick theirs up while
 * others start to copy the queries and keys of the next piece: those must go elsewhere at first, packed
 * keys to their slots, and queries, of 64 rows, to where they stay.
 */
export const canStageResults = (tile: MlaTile): boolean =>
  tile.packedSlots > 0 && tile.rows === 64 && tile.headDimV === ctaWarps * segment;

/**
 * Stores the outputs in whole lines: the lanes that hold them have 4 or 8 bytes of a row each, so every
 * warp lays its columns down where the keys were and picks them up 16 bytes a lane, neighbours together.
 * All warps must be done with the keys; afterwards only the warp itself is known to be done with its
 * columns.
 */
export function writeStagedOutputs<E extends Element | 'f32'>(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  outputs: Outputs,
  rows: OutputRows<E>,
): void {
  const keyRows = tile.stages * tile.tokens;
  // f32 rows take two key rows: half of the columns lie `rowsAtOnce` rows further down.
  const halves = rows.element === 'f32' ? 2 : 1;
  const rowsAtOnce = Math.min(tile.rows, keyRows / halves);
  for (let first = 0; first < tile.rows; first += rowsAtOnce) {
    if (first > 0) k.syncWarp();
    const tiles = outputs.slice(first / 16, (first + rowsAtOnce) / 16);
    layDown(k, shared, place, tiles, rows.element);
    k.syncWarp();
    pickUp(k, shared, place, rows, first, rowsAtOnce, halves);
  }
}

/** The warp's columns of some row tiles, from the first key row on. */
function layDown(
  k: Ops,
  shared: MlaShared,
  { lane, warp }: WarpPlace,
  outputs: Outputs,
  element: Element | 'f32',
): void {
  const step = rowBytes(shared.keys);
  const row = shared.keys.row(0, lane.shr(2));
  const quarter = lane.and(3);
  const perSegment = element === 'f32' ? 4 : 8;
  const start = k.mad(warp, segment, quarter.shl(element === 'f32' ? 2 : 1));
  const places = Array.from({ length: perSegment }, (_, j) =>
    row.at(start.add((j * segment) / perSegment)),
  );
  outputs.forEach((tileOutputs, t) => {
    tileOutputs.forEach((acc, j) => {
      for (const r of pair) {
        const half = Math.floor(j / perSegment) * outputs.length * 16;
        const to = places[j % perSegment].bytes((16 * t + 8 * r + half) * step);
        const values = [acc[2 * r], acc[2 * r + 1]] as const;
        if (element === 'f32') to.as('f32').storeVec(values);
        else to.as('b32').store(packPair(k, element, ...values).as('b32'));
      }
    });
  });
}

/** Stores rows of the CTA from `first` on, which lie at the first key row. */
function pickUp<E extends Element | 'f32'>(
  k: Ops,
  shared: MlaShared,
  { lane, warp }: WarpPlace,
  rows: OutputRows<E>,
  first: number,
  count: number,
  halves: number,
): void {
  const step = rowBytes(shared.keys);
  const chunk = lane.and(chunks - 1);
  const rowsPerLoad = 4 / halves;
  const own = lane.shr(Math.log2(chunks * halves));
  const half = lane.shr(Math.log2(chunks)).and(halves - 1);
  const keyRow = k.mad(half, count, own);
  // Rows eight apart are swizzled alike.
  const places = Array.from({ length: 8 / rowsPerLoad }, (_, i) =>
    shared.keys.row(0, keyRow.add(i * rowsPerLoad)).at(k.mad(warp, segment, chunk.shl(3))),
  );
  const perChunk = rows.element === 'f32' ? 4 : 8;
  const column = k.mad(warp, segment, k.mad(half, segment / 2, chunk.mul(perChunk)));
  for (let i = 0; i < count / rowsPerLoad; i++) {
    const row = own.add(first + i * rowsPerLoad);
    const from = places[i % places.length].bytes(Math.floor(i / places.length) * 8 * step);
    const words = from.as('b32').loadVec(4);
    k.if(row.lt(rows.count), () => rows.pointer(row).at(column).as('b32').storeVec(words));
  }
}
