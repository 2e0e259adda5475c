/**
 * The tile that a thread is computing: up to `maxRows` query rows that share keys and values, and one
 * block of decoded keys. Globals of WebAssembly belong to an instance, so each thread has its own.
 *
 * Scratch, all float32 unless said otherwise, R = rowVecs·4 rows, D = dQk, C = colTiles:
 *   queries  panels of 16 rows, each (D, 16); the last panel (D, 4·vectors left); few rows: (R, D)
 *   keys     (block + spare, key stride), values likewise where they are not the keys' first columns
 *   scores   (rowVecs, block + spare, 4): logits, then probabilities; native: (panels, block + spare, 16)
 *   values   accumulated as outputs (C, R, 16)
 *   maximum, sum, decay  (R): running maximum in base 2, running sum, last rescaling
 * For tokens in place, T at once, see in-place.ts:
 *   pairQueries  bf16 in panels of 16 rows, each (D / 2, 16, 2)
 *   placeScores  (R / 16, T + spare, 16)
 *   valuePairs   bf16 (C, T / 2, 16, 2), a line apart
 *   rowList      u32 (T): addresses of tokens
 *   staging      bf16 (T, D): copies of tokens, for kernels that need them in rows
 *   limits   i32 (R): how many keys of the request a row sees
 */

/**
 * Whether machine code attends to blocks, see native.ts: rows are then padded to whole panels of 16, one or
 * two vectors of a wider processor.
 */
export let isNative: bool = false;

/**
 * To be called once, before anything else; the host's instance must agree with those of the threads.
 * `tokensInPlace`: so many bf16 tokens can be attended to where they lie; 0: none.
 */
export function useNative(tokensInPlace: i32): void {
  isNative = true;
  placeTokens = tokensInPlace;
}

/** Whether the machine code has products of tiles. */
export let hasTiles: bool = false;

/** The host has machine code for products of tiles. */
export function useTiles(): void {
  hasTiles = true;
}

/** Tokens that machine code attends to at once where they lie, 0 for none; see in-place.ts. */
export let placeTokens: i32 = 0;

/** Vectors of four rows that a tile of so many rows has. */
export function vecsOf(rowCount: i32): i32 {
  return isNative ? ((rowCount + 15) >> 4) << 2 : (rowCount + 3) >> 2;
}

/** At most so many rows get the kernels of few-scores.ts, which need dQk in steps of {@link FEW_STEP}. */
const FEW_ROWS: i32 = 4;
const FEW_STEP: i32 = 8;

/** Tokens of a block: the unit in which all kernels work. */
export const BLOCK: i32 = 64;
/** Rows past a block that score kernels may touch; what they compute there is never read. */
const SPARE: i32 = 8;

/** Bytes from one 4-row vector of scores to the next. */
export const SCORE_STRIDE: usize = <usize>(BLOCK + SPARE) * 16;

export let rows: i32 = 0;
export let rowVecs: i32 = 0;
/** Whether machine code attends to the blocks of this tile. */
export let nativeTile: bool = false;
/**
 * Whether outputs of each 32 columns lie as 16 even ones and 16 odd ones, for machine code of few rows; see
 * in-place.ts.
 */
export let columnPairs: bool = false;

export function setColumnPairs(on: bool): void {
  columnPairs = on;
}

/** Whether all rows that share keys fit into a panel of 16. */
export let onePanel: bool = false;
/** Whether queries lie row by row, for the kernels of few-scores.ts. */
export let fewRows: bool = false;
export let dQk: i32 = 0;
export let dV: i32 = 0;
export let colTiles: i32 = 0;
/** Bytes from one decoded key (value) to the next. */
export let keyStride: usize = 0;
export let valueStride: usize = 0;
/** Bytes from one output column tile to the next. */
export let outputStride: usize = 0;
/** Factor from a raw logit to base 2. */
export let scaleLog2: f32 = 0;

export let queries: usize = 0;
export let keys: usize = 0;
export let values: usize = 0;
export let scores: usize = 0;
export let outputs: usize = 0;
export let maximum: usize = 0;
export let sum: usize = 0;
export let decay: usize = 0;
export let limits: usize = 0;
export let pairQueries: usize = 0;
export let placeScores: usize = 0;
export let valuePairs: usize = 0;
export let rowList: usize = 0;
export let staging: usize = 0;
/** 128 bytes for whoever needs them. */
export let spill: usize = 0;

function align(n: usize): usize {
  return (n + 63) & ~63;
}

/**
 * Lays a tile out at `base` and returns where it ends. `separateValues`: values have rows of their
 * own, else they are the first columns of the keys.
 */
export function layOut(
  base: usize,
  maxRows: i32,
  keyDims: i32,
  valueDims: i32,
  separateValues: bool,
): usize {
  const padded = <usize>(vecsOf(maxRows) << 2);
  const tiles = (valueDims + 15) >> 4;
  dQk = keyDims;
  dV = valueDims;
  colTiles = tiles;
  const keyColumns = (keyDims + 15) & ~15;
  keyStride = <usize>(separateValues || keyColumns > tiles * 16 ? keyColumns : tiles * 16) * 4;
  valueStride = separateValues ? <usize>tiles * 64 : keyStride;

  let at = align(base);
  spill = at;
  at += 128;
  maximum = at;
  at = align(at + padded * 4);
  sum = at;
  at = align(at + padded * 4);
  decay = at;
  at = align(at + padded * 4);
  limits = at;
  at = align(at + padded * 4);
  queries = at;
  at = align(at + padded * <usize>keyDims * 4);
  keys = at;
  at = align(at + <usize>(BLOCK + SPARE) * keyStride);
  values = separateValues ? at : keys;
  if (separateValues) at = align(at + <usize>BLOCK * valueStride);
  scores = at;
  at = align(at + (padded >> 2) * SCORE_STRIDE);
  outputs = at;
  at = align(at + <usize>tiles * padded * 64);
  if (placeTokens == 0 || separateValues) return at;
  pairQueries = at;
  at = align(at + padded * <usize>((keyDims + 1) & ~1) * 2);
  placeScores = at;
  at = align(at + (padded >> 4) * placeScoreStride());
  valuePairs = at;
  at = align(at + <usize>tiles * valuePairStride());
  rowList = at;
  at = align(at + (<usize>placeTokens << 2));
  staging = at;
  at = align(at + <usize>placeTokens * <usize>keyDims * 2);
  return at;
}

/** Bytes of the scores of a panel for tokens in place. */
export function placeScoreStride(): usize {
  return <usize>(placeTokens + SPARE) * 64;
}

/** Bytes from one column tile of value pairs to the next: a line more than it holds, against conflicts. */
export function valuePairStride(): usize {
  return <usize>placeTokens * 32 + 64;
}

/**
 * Starts a tile of `rowCount` rows of the `allRows` that share keys: nothing attended yet. What kernel
 * a row gets may depend on `allRows` but not on the tile, so that its bits are the same however rows
 * are cut.
 */
export function begin(rowCount: i32, allRows: i32, scale: f32): void {
  rows = rowCount;
  fewRows = allRows <= FEW_ROWS && dQk % FEW_STEP == 0;
  nativeTile = isNative && !fewRows;
  onePanel = allRows <= 16;
  columnPairs = false;
  rowVecs = vecsOf(rowCount);
  scaleLog2 = scale;
  outputStride = <usize>rowVecs * 256;
  memory.fill(outputs, 0, <usize>colTiles * outputStride);
  memory.fill(sum, 0, <usize>rowVecs * 16);
  const lowest = f32x4.splat(-Infinity);
  for (let v: usize = 0; v < <usize>rowVecs; v++) v128.store(maximum + (v << 4), lowest);
}
