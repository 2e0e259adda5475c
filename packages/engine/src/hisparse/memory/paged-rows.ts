import { EngineOptionError } from '../../errors.ts';
import { HiSparseError } from '../errors.ts';
import type { PagePair } from '../transfers.ts';
import { type AllocateHostMemory, type HostMemory, ordinaryMemory } from './host-memory.ts';

export interface PagedRowsShape {
  readonly numLayers: number;
  readonly numPages: number;
  /** Tokens in a page. */
  readonly pageSize: number;
  /** Bytes of a token's K/V in one layer: a multiple of 16. */
  readonly rowBytes: number;
}

/**
 * A pool of K/V rows, a memory for each layer: row r of a layer begins at byte r · rowBytes, page p at row
 * p · pageSize. The host pool is one; on the processor the device's pool is one, too.
 */
export class PagedRows {
  readonly shape: PagedRowsShape;
  readonly #layers: readonly HostMemory[];

  /** @throws EngineOptionError if the memory cannot be had; what was allocated is given back then. */
  constructor(shape: PagedRowsShape, allocate: AllocateHostMemory = ordinaryMemory) {
    if (shape.rowBytes % 16 !== 0) throw impossible('a row', 'a multiple of 16', shape.rowBytes);
    this.shape = shape;
    const layers: HostMemory[] = [];
    const bytes = shape.numPages * shape.pageSize * shape.rowBytes;
    try {
      while (layers.length < shape.numLayers) layers.push(allocate(bytes));
    } catch (cause) {
      for (const layer of layers) layer.dispose();
      const have = `${layers.length} of them`;
      throw impossible('the host pool', `${shape.numLayers} layers of ${bytes}`, have, cause);
    }
    this.#layers = layers;
  }

  /** All rows of a layer. */
  layer(index: number): Uint8Array {
    const memory = this.#layers[index];
    if (memory !== undefined) return memory.bytes;
    const expected = `0 to ${this.shape.numLayers - 1}`;
    throw misuse('the layer', expected, index);
  }

  /** One row of a layer: a view, not a copy. */
  row(layer: number, index: number): Uint8Array {
    const { numPages, pageSize, rowBytes } = this.shape;
    if (!(index >= 0 && index < numPages * pageSize))
      throw misuse('the row', `0 to ${numPages * pageSize - 1}`, index);
    return this.layer(layer).subarray(index * rowBytes, (index + 1) * rowBytes);
  }

  /** The rows of a page of a layer: a view, not a copy. */
  page(layer: number, index: number): Uint8Array {
    const { numPages, pageSize, rowBytes } = this.shape;
    if (!(index >= 0 && index < numPages)) throw misuse('the page', `0 to ${numPages - 1}`, index);
    const bytes = pageSize * rowBytes;
    return this.layer(layer).subarray(index * bytes, (index + 1) * bytes);
  }

  dispose(): void {
    for (const layer of this.#layers) layer.dispose();
  }
}

/** Copies whole pages of all layers. Returns the bytes copied. */
export function copyPages(
  direction: 'store' | 'load',
  pairs: readonly PagePair[],
  pools: { readonly device: PagedRows; readonly host: PagedRows },
): number {
  const { numLayers } = pools.host.shape;
  let copied = 0;
  for (const { devicePage, hostPage } of pairs) {
    for (let layer = 0; layer < numLayers; layer++) {
      const device = pools.device.page(layer, devicePage);
      const host = pools.host.page(layer, hostPage);
      if (direction === 'store') host.set(device);
      else device.set(host);
      copied += host.byteLength;
    }
  }
  return copied;
}

function impossible(subject: string, expected: string, actual: unknown, cause?: unknown) {
  const remedy = 'Choose a smaller host_to_device_ratio or fewer pages.';
  const problem = {
    subject: `${subject} of HiSparse`,
    expected: `${expected} bytes`,
    actual: String(actual),
    remedy,
  };
  return new EngineOptionError(problem, { cause });
}

function misuse(subject: string, expected: string, actual: number): HiSparseError {
  const remedy = 'This is a defect of the program that uses the pool.';
  return new HiSparseError({ subject, expected, actual: String(actual), remedy });
}
