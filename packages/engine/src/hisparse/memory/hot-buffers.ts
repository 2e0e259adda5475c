import { HiSparseError } from '../errors.ts';
import { pagesOfFullBuffer } from '../options.ts';
import type { SwapInSizes } from '../sizes.ts';

/** Pages of all requests that can run, a row for each slot of the batch. The same for all layers. */
export interface HotBufferTables {
  /** int32 (rows, pages of the longest sequence): pages of the host pool. */
  readonly hostPages: Int32Array;
  /** int32 (rows, H / P + 1): pages of the device pool; the last one is for the newest token. */
  readonly bufferPages: Int32Array;
  readonly numRows: number;
  readonly numHostPages: number;
  readonly numDevicePages: number;
}

/** What a layer remembers about the hot buffers. */
export interface HotBufferState {
  /** int32 (rows, H): the token in each slot, −1 for none. */
  readonly slotTokens: Int32Array;
  /** int16 (rows, H): all slots, from the least to the most recently used. */
  readonly lruOrder: Int16Array;
}

export interface HotBuffersShape {
  readonly sizes: SwapInSizes;
  /** Rows of a batch. */
  readonly maxRunning: number;
  /** Tokens of the longest sequence. */
  readonly maxModelLength: number;
  /** Layers that choose tokens themselves; those that share a choice share its state. */
  readonly numIndexLayers: number;
  /** Pages of the pools, the reserved page 0 included. */
  readonly numHostPages: number;
  readonly numDevicePages: number;
}

/**
 * The books of all hot buffers, as the swap-in reads them: a runner keeps one of these and has its tables
 * on the device. A row of a table belongs to a slot of the batch.
 */
export class HotBuffers {
  readonly shape: HotBuffersShape;
  readonly tables: HotBufferTables;
  readonly layers: readonly HotBufferState[];

  constructor(shape: HotBuffersShape) {
    const { sizes, maxRunning, maxModelLength, numIndexLayers } = shape;
    const { bufferSize, pageSize } = sizes;
    this.shape = shape;
    const hostWidth = Math.ceil(maxModelLength / pageSize);
    const bufferWidth = pagesOfFullBuffer(bufferSize, pageSize);
    this.tables = {
      hostPages: new Int32Array(maxRunning * hostWidth).fill(-1),
      bufferPages: new Int32Array(maxRunning * bufferWidth).fill(-1),
      numRows: maxRunning,
      numHostPages: shape.numHostPages,
      numDevicePages: shape.numDevicePages,
    };
    this.layers = Array.from({ length: numIndexLayers }, () => ({
      slotTokens: new Int32Array(maxRunning * bufferSize),
      lruOrder: new Int16Array(maxRunning * bufferSize),
    }));
  }

  /**
   * A row of the batch gets another request. Its buffer will hold the first tokens of the sequence, each in
   * the slot of its position; the tables name no page until `decode`.
   */
  start(slot: number): void {
    const { hostPages, bufferPages, numRows } = this.tables;
    this.#row(hostPages, slot, hostPages.length / numRows).fill(-1);
    this.#row(bufferPages, slot, bufferPages.length / numRows).fill(-1);
    const { bufferSize } = this.shape.sizes;
    for (const { slotTokens, lruOrder } of this.layers) {
      for (let at = 0; at < bufferSize; at++) {
        slotTokens[slot * bufferSize + at] = at;
        lruOrder[slot * bufferSize + at] = at;
      }
    }
  }

  /** A row takes part in a step that decodes: the pages of its sequence and of its buffer. */
  decode(slot: number, hostPages: readonly number[], devicePages: readonly number[]): void {
    const { tables } = this;
    const hosts = this.#row(tables.hostPages, slot, tables.hostPages.length / tables.numRows);
    const buffer = this.#row(tables.bufferPages, slot, tables.bufferPages.length / tables.numRows);
    if (hostPages.length > hosts.length || devicePages.length > buffer.length)
      throw this.#misuse(`${hosts.length} and ${buffer.length} pages`, [hostPages, devicePages]);
    hosts.set(hostPages);
    buffer.set(devicePages);
  }

  /** The row of the device pool that the token at a position is written to. */
  deviceRowOf(slot: number, position: number): number {
    const { bufferSize, pageSize } = this.shape.sizes;
    const at = Math.min(position, bufferSize);
    return this.#rowIn(this.tables.bufferPages, slot, at, pageSize);
  }

  /** The row of the host pool that keeps the token at a position. */
  hostRowOf(slot: number, position: number): number {
    return this.#rowIn(this.tables.hostPages, slot, position, this.shape.sizes.pageSize);
  }

  #rowIn(pages: Int32Array, slot: number, at: number, pageSize: number): number {
    const width = pages.length / this.tables.numRows;
    const page = this.#row(pages, slot, width)[Math.floor(at / pageSize)] ?? -1;
    if (page <= 0) throw this.#misuse('a page', [[page]]);
    return page * pageSize + (at % pageSize);
  }

  #row(table: Int32Array, slot: number, width: number): Int32Array {
    return table.subarray(slot * width, (slot + 1) * width);
  }

  #misuse(expected: string, actual: readonly (readonly number[])[]): HiSparseError {
    const remedy = 'This is a defect of the program that uses the hot buffers.';
    const lists = actual.map((pages) => `[${pages.join(', ')}]`).join(' and ');
    return new HiSparseError({ subject: 'a hot buffer', expected, actual: lists, remedy });
  }
}

/** Bytes that the tables and the state take on the device. */
export function hotBufferTableBytes(shape: HotBuffersShape): number {
  const { sizes, maxRunning, maxModelLength, numIndexLayers } = shape;
  const { bufferSize, pageSize } = sizes;
  const pages = Math.ceil(maxModelLength / pageSize) + pagesOfFullBuffer(bufferSize, pageSize);
  return maxRunning * (4 * pages + numIndexLayers * 6 * bufferSize);
}
