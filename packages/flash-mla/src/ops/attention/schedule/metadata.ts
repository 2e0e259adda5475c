/**
 * What a row of the tile-scheduler metadata says of its part, i32 each, in FlashMLA's order. Of an empty part
 * only the first two are not 0: the next request that still has blocks (or b) and one less.
 */
export const partFields = [
  /** The first request that it holds something of. */
  'beginRequest',
  /** The last one, inclusive; below the first where the part is empty. */
  'endRequest',
  /** Its first block of the first request. */
  'beginBlock',
  /** Behind its last block of the last request. */
  'endBlock',
  /** Which split of the first request it starts with. */
  'beginSplit',
  /** 1 if the first request has more than one split: its results are partial and get combined. */
  'beginIsSplit',
  /** 1 if the last request has more than one split. */
  'endIsSplit',
  /** 0. */
  'unused',
] as const;

export type PartField = (typeof partFields)[number];

/** i32 of a row. */
export const metadataWidth = partFields.length;

/** The place of each field in its row. */
export const partField = Object.fromEntries(
  partFields.map((name, place) => [name, place]),
) as Readonly<Record<PartField, number>>;
