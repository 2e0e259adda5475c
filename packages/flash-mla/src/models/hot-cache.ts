import {
  type Decode,
  HotBuffers,
  type PagePair,
  type PageTransfers,
  type SwapInTotals,
} from '@flash-mla/engine';
import type { HotCache, HotCacheShape, LayerCache, Sequence } from '@flash-mla/models';
import { copyRows, type SwappedIn, swapIn } from '../ops/swap-in/index.ts';
import type { Device } from '../runtime/device/device.ts';
import type { Stream, StreamEvent } from '../runtime/device/stream.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import { pagedCache } from './cache-rows.ts';
import type { DeviceMatrix } from './device-operations.ts';
import type { Run } from './runs.ts';
import type { StepTensors } from './step-tensors.ts';

type Rows = Tensor<'bf16' | 'u8'>;

/** A layer that chooses, and those behind it that share its choice: they have the same books. */
interface HotGroup {
  readonly index: number;
  /** The books of the hot buffers: those of {@link HotBuffers}. */
  readonly slotTokens: Tensor<'i32'>;
  readonly lruOrder: Tensor<'u8'>;
  /** The first one chooses. */
  readonly layers: HotLayer[];
}

/** What a layer has beside its pages on the device. */
interface HotLayer {
  readonly group: HotGroup;
  readonly device: Rows;
  /** All rows, in pages with the numbers of the host's. */
  readonly host: Rows;
  /** Of a layer that shares a choice: when what it misses is there. */
  loaded?: StreamEvent;
}

/**
 * The caches of all layers in memory of the host: pinned where kernels reach it, else ordinary memory of the
 * processor's device. What a layer that chooses misses is copied by its swap-in; layers that share its choice
 * replay the plan on a stream of their own, while the layers before them are computed. New rows go to the host
 * on the same stream.
 */
export class DeviceHotCache implements HotCache {
  readonly transfers: PageTransfers;
  readonly #step: StepTensors;
  readonly #shape: HotCacheShape;
  readonly #pageSize: number;
  readonly #books: HotBuffers;
  readonly #hostPages: Tensor<'i32'>;
  readonly #bufferPages: Tensor<'i32'>;
  readonly #groups: HotGroup[] = [];
  readonly #layers = new Map<DeviceMatrix, HotLayer>();
  /** (groups, rows of a batch), of the step. */
  readonly #missCounts: Tensor<'i32'>;
  readonly #owned: Disposable[] = [];
  /** Copies between host and device beside the steps. */
  readonly #side: Stream;
  /** When the rows of a step are on the host. */
  #kept: StreamEvent | undefined;
  /** Entries of choices that were looked up in this step. */
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
      this.#side = own(device.createStream({ name: 'hisparse' }));
      this.#hostPages = table(hostPages);
      this.#bufferPages = table(bufferPages);
      for (const { latents, indexKeys } of cache) {
        const last = this.#groups.at(-1);
        const group =
          last !== undefined && indexKeys === undefined
            ? last
            : {
                index: this.#groups.length,
                slotTokens: own(device.empty([maxRunning, bufferSize], 'i32')),
                lruOrder: own(device.empty([maxRunning, 2 * bufferSize], 'u8')),
                layers: [],
              };
        if (group !== last) this.#groups.push(group);
        const paged = pagedCache(latents, pageSize);
        const [, , , columns = 0] = paged.shape;
        const host = hostTensor(device, [numHostPages, pageSize, 1, columns], paged.dtype, own);
        const layer = { group, device: paged, host };
        group.layers.push(layer);
        this.#layers.set(latents, layer);
      }
      this.#missCounts = own(device.empty([this.#groups.length, maxRunning], 'i32'));
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
    for (const { slotTokens, lruOrder } of this.#groups) {
      slotTokens.slice(0, slot, slot + 1).write(tokens);
      lruOrder.slice(0, slot, slot + 1).write(order);
    }
  }

  begin(decodes: readonly Decode[]): void {
    this.#awaitKept();
    this.#lookedUp = 0;
    if (decodes.length === 0) return;
    for (const { slot, position, pages, devicePages = [] } of decodes) {
      const used = Math.floor(position / this.#pageSize) + 1;
      this.#books.decode(slot, pages.slice(0, used), devicePages);
    }
    const { hostPages, bufferPages } = this.#books.tables;
    this.#hostPages.write(hostPages);
    this.#bufferPages.write(bufferPages);
    this.#missCounts.fill(0);
  }

  async end(): Promise<SwapInTotals> {
    const totals = { hits: 0, misses: 0, bytes: 0 };
    if (this.#lookedUp === 0) return totals;
    const counts = await this.#missCounts.read();
    const { maxRunning } = this.#shape;
    for (const { index, layers } of this.#groups) {
      const own = counts.subarray(index * maxRunning, (index + 1) * maxRunning);
      const misses = own.reduce((sum, count) => sum + count, 0);
      totals.misses += misses;
      for (const { host } of layers) totals.bytes += misses * rowBytesOf(host);
    }
    totals.hits = this.#lookedUp - totals.misses;
    return totals;
  }

  /** The row of the device's cache that a new token of a sequence in the tables is written to. */
  deviceRowOf(slot: number, position: number): number {
    return this.#books.deviceRowOf(slot, position);
  }

  /** Copies the new rows of sequences that are decoded, which are at these slots of the cache, to the host. */
  keepNewest(cache: DeviceMatrix, slots: Tensor<'i32'>, sequences: readonly Sequence[]): void {
    if (!sequences.some(({ hotRow }) => hotRow !== undefined)) return;
    const { 0: rows = 0 } = slots.shape;
    const hostSlots = this.#step.share('host slots', () => {
      const places = new Int32Array(rows).fill(-1);
      for (const { row, start, hotRow } of sequences) {
        if (hotRow !== undefined) places[row] = this.#books.hostRowOf(hotRow, start);
      }
      return this.#step.integers(places);
    });
    const { device: source, host: target } = this.#layer(cache);
    this.#kept = this.#beside(() => {
      const [sourceRows, targetRows] = [slots.reshape([rows, 1]), hostSlots.reshape([rows, 1])];
      copyRows({ source, target, sourceRows, targetRows });
    });
  }

  /** Where chosen positions (i32 (requests, topK)) are in the device's cache, once what was missing is there. */
  locate(cache: DeviceMatrix, positions: Tensor<'i32'>, run: Run): Tensor<'i32'> {
    const layer = this.#layer(cache);
    const [first, ...others] = layer.group.layers;
    const { plan } = this.#planOf(run);
    if (layer !== first) {
      if (layer.loaded !== undefined) this.#step.device.stream.wait(layer.loaded);
      return plan.locations;
    }
    this.#swapIn(layer, positions, run);
    for (const other of others) {
      const rows = { sourceRows: plan.plannedHostRows, targetRows: plan.plannedDeviceRows };
      const caches = { source: other.host, target: other.device };
      const counts = this.#missCountsOf(layer.group, run);
      other.loaded = this.#beside(() => void copyRows({ ...caches, ...rows, counts }));
    }
    return plan.locations;
  }

  [Symbol.dispose](): void {
    for (const owned of this.#owned.reverse()) owned[Symbol.dispose]();
  }

  #swapIn({ group, host, device }: HotLayer, topK: Tensor<'i32'>, run: Run): void {
    const { deviceBufferSize, swapInBlockSize: blockSize } = this.#shape.hisparse;
    const { rows, seqLens, plan } = this.#planOf(run);
    const { slotTokens, lruOrder } = group;
    swapIn({
      ...{ topK, seqLens, rows, slotTokens, lruOrder, blockSize },
      ...{ hostPages: this.#hostPages, bufferPages: this.#bufferPages },
      ...{ hostCache: host, deviceCache: device, ...plan },
      missCounts: this.#missCountsOf(group, run),
    });
    const long = run.sequences.filter(({ start }) => start + 1 > deviceBufferSize);
    this.#lookedUp += long.length * this.#shape.hisparse.topK;
  }

  /** All groups of a step write to the same plan: one holds until the next one. */
  #planOf({ row, sequences }: Run) {
    return this.#step.share(`hot plan ${row}`, () => {
      const make = () => this.#step.empty([sequences.length, this.#shape.hisparse.topK], 'i32');
      const plan: Omit<SwappedIn, 'missCounts'> = {
        ...{ locations: make(), plannedHostRows: make(), plannedDeviceRows: make() },
      };
      return {
        plan,
        rows: this.#step.integers(Int32Array.from(sequences, ({ hotRow = -1 }) => hotRow)),
        seqLens: this.#step.integers(Int32Array.from(sequences, ({ start }) => start + 1)),
      };
    });
  }

  /** Sequences that are decoded are the first rows of a batch, one each. */
  #missCountsOf({ index }: HotGroup, { row, sequences }: Run): Tensor<'i32'> {
    const own = this.#missCounts.slice(0, index, index + 1).reshape([this.#shape.maxRunning]);
    return own.slice(0, row, row + sequences.length);
  }

  /** Enqueues on the stream of copies, behind what is enqueued so far. */
  #beside(enqueue: () => void): StreamEvent {
    const { device } = this.#step;
    this.#side.wait(device.stream.record());
    device.withStream(this.#side, enqueue);
    return this.#side.record();
  }

  /** What follows finds the rows of the last step on the host. */
  #awaitKept(): void {
    if (this.#kept !== undefined) this.#step.device.stream.wait(this.#kept);
    this.#kept = undefined;
  }

  #layer(cache: DeviceMatrix): HotLayer {
    const layer = this.#layers.get(cache);
    if (layer === undefined) throw new Error('this cache has no memory of the host');
    return layer;
  }

  async #copy(pages: readonly PagePair[], toHost: boolean): Promise<void> {
    const { device } = this.#step;
    this.#awaitKept();
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

function rowBytesOf({ shape, dtype }: Rows): number {
  return (dtype === 'u8' ? 1 : 2) * (shape[3] ?? 0);
}

/** Memory of the host that kernels read and write: pinned, but on the processor, whose memory is the host's. */
function hostTensor(
  device: Device,
  shape: readonly number[],
  dtype: Rows['dtype'],
  own: <Owned extends Disposable>(owned: Owned) => Owned,
): Rows {
  if (device.info.backend === 'cpu') return own(device.empty(shape, dtype));
  const bytes = (dtype === 'u8' ? 1 : 2) * shape.reduce((product, n) => product * n, 1);
  return device.tensorOn(own(device.pinned(bytes)), shape, dtype);
}
