import {
  type Decode,
  HotBuffers,
  type PagePair,
  type PageTransfers,
  type SwapInTotals,
} from '@flash-mla/engine';
import type { HotCache, HotCacheShape, LayerCache, Sequence } from '@flash-mla/models';
import { embedding } from '../ops/embedding/index.ts';
import { appendKvCache } from '../ops/kv-cache/index.ts';
import { swapIn } from '../ops/swap-in/index.ts';
import type { Device } from '../runtime/device/device.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { DeviceMatrix } from './device-operations.ts';
import type { Run } from './runs.ts';
import type { StepTensors } from './step-tensors.ts';

/** What a layer has beside its pages on the device. */
interface HotLayer {
  readonly device: Tensor<'bf16'>;
  /** All rows, in pages with the numbers of the host's. */
  readonly host: Tensor<'bf16'>;
  /** The books of the hot buffers: those of {@link HotBuffers}. */
  readonly slotTokens: Tensor<'i32'>;
  readonly lruOrder: Tensor<'u8'>;
}

/**
 * The caches of all layers in memory of the host: pinned where kernels reach it, else ordinary memory of the
 * processor's device. Each layer keeps books of its own, those that share a choice too: the same choices make
 * the same books.
 */
export class DeviceHotCache implements HotCache {
  readonly transfers: PageTransfers;
  readonly #step: StepTensors;
  readonly #shape: HotCacheShape;
  readonly #pageSize: number;
  readonly #books: HotBuffers;
  readonly #hostPages: Tensor<'i32'>;
  readonly #bufferPages: Tensor<'i32'>;
  readonly #layers = new Map<DeviceMatrix, HotLayer>();
  readonly #owned: Disposable[] = [];
  /** Of the step: misses of each layer's requests, and how many entries were looked up. */
  #misses: Promise<Int32Array>[] = [];
  #lookedUp = 0;

  /** Throws OutOfMemoryError; what was allocated is freed then. */
  constructor(
    step: StepTensors,
    pageSize: number,
    cache: readonly LayerCache<DeviceMatrix>[],
    shape: HotCacheShape,
  ) {
    const { hisparse, maxRunning, maxModelLength, numDevicePages, numHostPages } = shape;
    const { topK, deviceBufferSize: bufferSize } = hisparse;
    this.#step = step;
    this.#shape = shape;
    this.#pageSize = pageSize;
    this.#books = new HotBuffers({
      ...{ sizes: { topK, bufferSize, pageSize }, maxRunning, maxModelLength },
      ...{ numIndexLayers: 0, numHostPages, numDevicePages },
    });
    const own = <Owned extends Disposable>(owned: Owned): Owned => {
      this.#owned.push(owned);
      return owned;
    };
    const { device } = step;
    const { hostPages, bufferPages } = this.#books.tables;
    const table = (values: Int32Array) =>
      own(device.tensor(values, [maxRunning, values.length / maxRunning], 'i32'));
    try {
      this.#hostPages = table(hostPages);
      this.#bufferPages = table(bufferPages);
      for (const { latents } of cache) {
        const { 1: columns = 0 } = latents.shape;
        this.#layers.set(latents, {
          device: paged(latents, pageSize),
          host: hostTensor(device, [numHostPages, pageSize, 1, columns], own),
          slotTokens: own(device.empty([maxRunning, bufferSize], 'i32')),
          lruOrder: own(device.empty([maxRunning, 2 * bufferSize], 'u8')),
        });
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this.transfers = {
      store: (pages) => this.#copy(pages, true),
      load: (pages) => this.#copy(pages, false),
    };
  }

  start(slot: number): void {
    this.#books.start(slot);
    const { deviceBufferSize } = this.#shape.hisparse;
    const tokens = Int32Array.from({ length: deviceBufferSize }, (_, i) => i);
    const order = new Uint8Array(Int16Array.from(tokens).buffer);
    for (const { slotTokens, lruOrder } of this.#layers.values()) {
      slotTokens.slice(0, slot, slot + 1).write(tokens);
      lruOrder.slice(0, slot, slot + 1).write(order);
    }
  }

  begin(decodes: readonly Decode[]): void {
    this.#misses = [];
    this.#lookedUp = 0;
    if (decodes.length === 0) return;
    for (const { slot, position, pages, devicePages = [] } of decodes) {
      const used = Math.floor(position / this.#pageSize) + 1;
      this.#books.decode(slot, pages.slice(0, used), devicePages);
    }
    const { hostPages, bufferPages } = this.#books.tables;
    this.#hostPages.write(hostPages);
    this.#bufferPages.write(bufferPages);
  }

  async end(): Promise<SwapInTotals> {
    const counts = await Promise.all(this.#misses);
    const misses = counts.flatMap((own) => [...own]).reduce((sum, count) => sum + count, 0);
    const [layer] = this.#layers.values();
    const rowBytes = 2 * (layer?.host.shape[3] ?? 0);
    return { hits: this.#lookedUp - misses, misses, bytes: misses * rowBytes };
  }

  /** The row of the device's cache that a new token of a sequence in the tables is written to. */
  deviceRowOf(slot: number, position: number): number {
    return this.#books.deviceRowOf(slot, position);
  }

  /** Copies the new rows of sequences that are decoded, which are at these slots of the cache, to the host. */
  keepNewest(cache: DeviceMatrix, slots: Tensor<'i32'>, sequences: readonly Sequence[]): void {
    if (!sequences.some(({ hotRow }) => hotRow !== undefined)) return;
    const hostSlots = this.#step.share('host slots', () => {
      const places = new Int32Array(slots.shape[0] ?? 0).fill(-1);
      for (const { row, start, hotRow } of sequences) {
        if (hotRow !== undefined) places[row] = this.#books.hostRowOf(hotRow, start);
      }
      return this.#step.integers(places);
    });
    const rows = this.#step.keep(embedding({ table: cache, ids: slots, dtype: 'bf16' }));
    appendKvCache({ kCache: this.#layer(cache).host, rows, slots: hostSlots });
  }

  /** Where chosen positions (i32 (requests, topK)) are in the device's cache, once what was missing is there. */
  locate(cache: DeviceMatrix, positions: Tensor<'i32'>, { row, sequences }: Run): Tensor<'i32'> {
    const { host, device, slotTokens, lruOrder } = this.#layer(cache);
    const { deviceBufferSize, swapInBlockSize, topK } = this.#shape.hisparse;
    const { rows, seqLens } = this.#step.share(`hot rows ${row}`, () => ({
      rows: this.#step.integers(Int32Array.from(sequences, ({ hotRow = -1 }) => hotRow)),
      seqLens: this.#step.integers(Int32Array.from(sequences, ({ start }) => start + 1)),
    }));
    const swapped = swapIn({
      ...{ topK: positions, seqLens, rows, slotTokens, lruOrder },
      ...{ hostPages: this.#hostPages, bufferPages: this.#bufferPages },
      ...{ hostCache: host, deviceCache: device, blockSize: Math.max(swapInBlockSize, 32) },
    });
    for (const tensor of Object.values(swapped)) this.#step.keep(tensor as Tensor);
    this.#misses.push(swapped.missCounts.read());
    const long = sequences.filter(({ start }) => start + 1 > deviceBufferSize);
    this.#lookedUp += long.length * topK;
    return swapped.locations;
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
  }

  #layer(cache: DeviceMatrix): HotLayer {
    const layer = this.#layers.get(cache);
    if (layer === undefined) throw new Error('this cache has no memory of the host');
    return layer;
  }

  async #copy(pages: readonly PagePair[], toHost: boolean): Promise<void> {
    const { device } = this.#step;
    for (const layer of this.#layers.values()) {
      for (const { devicePage, hostPage } of pages) {
        const own = layer.device.slice(0, devicePage, devicePage + 1);
        const other = layer.host.slice(0, hostPage, hostPage + 1);
        if (toHost) device.copy(own, other);
        else device.copy(other, own);
      }
    }
    await device.synchronize();
  }
}

function paged(cache: DeviceMatrix, pageSize: number): Tensor<'bf16'> {
  const { 0: tokens = 0, 1: columns = 0 } = cache.shape;
  return cache.reshape([tokens / pageSize, pageSize, 1, columns]) as Tensor<'bf16'>;
}

/** Memory of the host that kernels read and write: pinned, but on the processor, whose memory is the host's. */
function hostTensor(
  device: Device,
  shape: readonly number[],
  own: <Owned extends Disposable>(owned: Owned) => Owned,
): Tensor<'bf16'> {
  if (device.info.backend === 'cpu') return own(device.empty(shape, 'bf16'));
  const bytes = 2 * shape.reduce((product, n) => product * n, 1);
  return device.tensorOn(own(device.pinned(bytes)), shape, 'bf16');
}
