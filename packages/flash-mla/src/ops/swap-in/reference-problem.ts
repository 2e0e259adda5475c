/** What a swap-in depends on besides its arguments. */
export interface SwapInSizes {
  /** K: tokens that a query attends to. */
  readonly topK: number;
  /** H: slots of a request's hot buffer that are replaced in LRU order. The newest token has one more. */
  readonly bufferSize: number;
  /** P: tokens in a page, on the device and on the host. H is a multiple of it. */
  readonly pageSize: number;
}

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
export interface SwapInProblem {
  readonly sizes: SwapInSizes;
  readonly tables: SwapInTables;
  readonly state: SwapInState;
  /** int32 (requests, K): positions to attend to, in any order. What is no position below the length is none. */
  readonly topK: Int32Array;
  /** (requests): tokens of each sequence, the newest included. */
  readonly seqLens: Integers;
  /** (requests): the row of the tables and of the state; −1, or any that is none, for a request that pads. */
  readonly rows: Integers;
  /** Output, int32 (requests, K): rows of the device pool, −1 for none. */
  readonly locations: Int32Array;
  readonly plan: MissPlan;
}
