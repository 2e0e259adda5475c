import type { SwapInSizes } from './sizes.ts';

/** Lengths and row numbers come as int32 or int64, each for itself. */
export type Integers = Int32Array | BigInt64Array;

/**
 * Where the rows of K/V lie, for all requests that can run. A request has one row of each table. Token t
 * of a request is row `hostPages[t / P] · P + t % P` of the host pool, and slot s of its hot buffer is row
 * `bufferPages[s / P] · P + s % P` of the device pool. The tables are the same for all layers.
 */
export interface SwapInTables {
  /** int32 (rows, pages of the longest sequence): pages of the host pool. */
  readonly hostPages: Int32Array;
  /** int32 (rows, H / P + 1): pages of the device pool; the last one is for the newest token. */
  readonly bufferPages: Int32Array;
  readonly numRows: number;
  /** Page numbers at or above these, and negative ones, name no page. */
  readonly numHostPages: number;
  readonly numDevicePages: number;
}

/** What a layer remembers about the hot buffers; layers that share their top-k share it. */
export interface SwapInState {
  /** int32 (rows, H): the token in each slot, −1 for none. A token is in one slot at most. */
  readonly slotTokens: Int32Array;
  /** int16 (rows, H): all slots, from the least to the most recently used. */
  readonly lruOrder: Int16Array;
}

/**
 * Which rows have to be copied to the device. Layers that share a top-k with the one that made it replay
 * all of it.
 */
export interface MissPlan {
  /** int32 (requests, K): rows of the host pool; −1 where nothing is to be copied. */
  readonly hostRows: Int32Array;
  /** int32 (requests, K): rows of the device pool. */
  readonly deviceRows: Int32Array;
  /** int32 (requests): leading elements of each that are valid. */
  readonly counts: Int32Array;
}

/** One swap-in of one layer. */
export interface SwapInArgs {
  readonly sizes: SwapInSizes;
  readonly tables: SwapInTables;
  readonly state: SwapInState;
  /** int32 (requests, K): positions to attend to, in any order. What is no position below the length is none. */
  readonly topK: Int32Array;
  /** (requests): tokens of each sequence, the newest included. */
  readonly seqLens: Integers;
  /** (requests): the row of the tables and of the state. */
  readonly rows: Integers;
  /** Leading requests that are real; those behind pad the batch. */
  readonly numRequests: number;
  /** Output, int32 (requests, K): rows of the device pool, −1 for none. */
  readonly locations: Int32Array;
  readonly plan: MissPlan;
}

/** `count` slots that hold the tokens 0 to count − 1 each in its place, as after prefill, oldest first. */
export function resetState(state: SwapInState, row: number, bufferSize: number): void {
  for (let slot = 0; slot < bufferSize; slot++) {
    state.slotTokens[row * bufferSize + slot] = slot;
    state.lruOrder[row * bufferSize + slot] = slot;
  }
}
