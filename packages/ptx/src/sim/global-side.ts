import { boxRows, swizzled } from './boxes.ts';
import type { Started } from './bulk.ts';
import type { GlobalSpace } from './global.ts';
import type { DecodedMap } from './tensor-map.ts';

/** The side of a copy that is in global memory: contiguous bytes, or the box of a map. */
export interface GlobalSide {
  readonly address: number;
  readonly bytes: number;
  readonly map: DecodedMap | undefined;
  readonly coordinates: readonly number[];
}

/** The contiguous pieces of the global side that lie in the tensor. */
export function* rangesOf(side: GlobalSide): Generator<{ address: number; size: number }> {
  if (side.map === undefined) {
    yield { address: side.address, size: side.bytes };
    return;
  }
  for (const { from, to, address } of boxRows(side.map, side.coordinates)) {
    if (to > from) yield { address, size: to - from };
  }
}

/**
 * What a load brings, as it will lie in shared memory from `place` on. `written` gets four bits per
 * word: which bytes somebody wrote.
 */
export function imageOf(
  global: GlobalSpace,
  { warp, site, lane }: Started,
  side: GlobalSide,
  place: number,
  written: Uint8Array,
): Int32Array {
  const image = new Uint8Array(side.bytes);
  const there = new Uint8Array(side.bytes).fill(1);
  const { map } = side;
  const words = new Int32Array(image.buffer);
  let whole = true;
  if (map === undefined) {
    whole = global.copyIn(warp, site, lane, side.address, image, there);
  } else {
    // The NaN that a tensor map can ask for, in every half of a word, as an H200 gives it.
    if (map.nan) new Uint16Array(image.buffer).fill(0x7ff7);
    for (const row of boxRows(map, side.coordinates)) {
      if (row.from === row.to) continue;
      const range = [row.place + row.from, row.place + row.to] as const;
      const [bytes, marks] = [image.subarray(...range), there.subarray(...range)];
      if (!global.copyIn(warp, site, lane, row.address, bytes, marks)) whole = false;
    }
    permute(words, place, map);
    if (!whole) permute(new Int32Array(there.buffer), place, map);
  }
  written.fill(15);
  if (whole) return words;
  for (let i = 0; i < written.length; i++) {
    const b = i * 4;
    written[i] = there[b] | (there[b + 1] << 1) | (there[b + 2] << 2) | (there[b + 3] << 3);
  }
  return words;
}

/** Moves the 16-byte chunks of a box that lies at `place` to where the swizzle puts them, or back. */
export function permute(words: Int32Array, place: number, map: DecodedMap): void {
  if (map.swizzle === undefined) return;
  const before = words.slice();
  for (let at = 0; at < words.length; at += 4) {
    const to = (swizzled(map, place + at * 4) - place) >> 2;
    words[to] = before[at];
    words[to + 1] = before[at + 1];
    words[to + 2] = before[at + 2];
    words[to + 3] = before[at + 3];
  }
}
