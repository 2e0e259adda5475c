import { copyMisses, type SwapInProblem, swapIn } from 'flash-mla/reference';
import { HotBuffers } from '../hisparse/memory/hot-buffers.ts';
import { copyPages, PagedRows } from '../hisparse/memory/paged-rows.ts';
import type { HiSparseOptions } from '../hisparse/options.ts';
import type { PagePair, PageTransfers } from '../hisparse/transfers.ts';
import type { BatchPlan, Decode, PrefillChunk, StepOutput } from '../runner/model-runner.ts';
import type { Random } from './random.ts';
import { empty, nextState, SimulatedRunner } from './simulated-runner.ts';
import type { SimulatedTime } from './simulated-time.ts';

/** The last layer shares the choice of the one before it. */
const [numLayers, numIndexLayers, rowBytes] = [3, 2, 16];
const poison = 0xde;
const wrong = -1;

export interface HiSparseRunnerSizes {
  readonly hisparse: HiSparseOptions;
  readonly totalHostPages: number;
  readonly totalDevicePages: number;
  readonly pageSize: number;
  readonly maxInFlight: number;
  readonly maxRunning: number;
  readonly maxModelLength: number;
}

/** A sequence as its row of the batch knows it. */
interface Sequence {
  readonly tokens: number[];
  /** Of the sequence up to each position: what a row of K/V holds. */
  readonly states: number[];
  /** A step has failed: its rows are nonsense. */
  isBroken: boolean;
  lastToken: number;
}

/**
 * The simulated device with HiSparse. What the base class has as its cache are here the indexer's keys,
 * which stay on the device. K/V is rows of bytes in a device pool and in a host pool; each names its
 * sequence, position and layer. Every row that a step reads is looked at, so a page that two use, a copy
 * that is late or a slot that holds something else is noticed. What is released is poisoned.
 */
export class SimulatedHiSparse extends SimulatedRunner {
  readonly transfers: PageTransfers;
  /** Copies that fail, having written nonsense: how often. */
  copyFailure = 0;
  readonly counts = { stores: 0, loads: 0, failedCopies: 0, released: 0, slowPath: 0 };
  readonly #sizes: HiSparseRunnerSizes;
  readonly #pools: { readonly device: PagedRows; readonly host: PagedRows };
  readonly #buffers: HotBuffers;
  readonly #batch: SwapInProblem;
  readonly #sequences = new Map<number, Sequence>();
  /** Device pages that a copy uses. */
  readonly #copying = new Set<number>();

  constructor(time: SimulatedTime, random: Random, sizes: HiSparseRunnerSizes) {
    const { hisparse, maxInFlight, maxModelLength, maxRunning, pageSize } = sizes;
    const { totalDevicePages, totalHostPages } = sizes;
    super(time, random, { totalPages: totalHostPages, pageSize, maxInFlight });
    this.#sizes = sizes;
    const pool = (numPages: number) => {
      const rows = new PagedRows({ numLayers, numPages, pageSize, rowBytes });
      for (let layer = 0; layer < numLayers; layer++) rows.layer(layer).fill(poison);
      return rows;
    };
    this.#pools = { device: pool(totalDevicePages), host: pool(totalHostPages) };
    const { topK, deviceBufferSize: bufferSize } = hisparse;
    this.#buffers = new HotBuffers({
      ...{ sizes: { topK, bufferSize, pageSize }, maxRunning, maxModelLength, numIndexLayers },
      ...{ numHostPages: totalHostPages, numDevicePages: totalDevicePages },
    });
    const integers = (length: number) => new Int32Array(length).fill(-1);
    this.#batch = {
      sizes: this.#buffers.shape.sizes,
      tables: this.#buffers.tables,
      state: { slotTokens: integers(0), lruOrder: new Int16Array(0) },
      topK: integers(maxRunning * topK),
      seqLens: new BigInt64Array(maxRunning),
      rows: integers(maxRunning),
      locations: integers(maxRunning * topK),
      plan: {
        hostRows: integers(maxRunning * topK),
        deviceRows: integers(maxRunning * topK),
        counts: integers(maxRunning),
      },
    };
    this.transfers = {
      store: (pages) => this.#copy('store', pages),
      load: (pages) => this.#copy('load', pages),
      released: (pages) => this.#released(pages),
    };
  }

  override run(plan: BatchPlan): Promise<StepOutput> {
    this.#checkDevicePages(plan);
    return super.run(plan);
  }

  protected override execute(plan: BatchPlan, isNonsense: boolean): number[] {
    for (const { slot, tokens } of plan.starts) {
      const sequence = { tokens: [], states: [], isBroken: false, lastToken: wrong };
      for (const token of tokens) extend(sequence, token);
      this.#sequences.set(slot, sequence);
      this.#buffers.start(slot);
    }
    const rows = [...plan.decodes, ...plan.prefills];
    for (const { slot } of rows) {
      const sequence = this.#sequences.get(slot);
      if (sequence) sequence.isBroken ||= isNonsense;
    }
    for (const chunk of plan.prefills) this.#prefill(chunk);
    this.reported = { swapIn: this.#decode(plan.decodes) };

    const sampled = super.execute(plan, isNonsense);
    const samplers = [...plan.decodes, ...plan.prefills.filter(({ samples }) => samples)];
    for (const [i, { slot }] of samplers.entries()) {
      const sequence = this.#sequences.get(slot);
      if (sequence) sequence.lastToken = sampled[i] ?? wrong;
    }
    return sampled;
  }

  #prefill({ slot, start, tokens, pages, devicePages = [] }: PrefillChunk): void {
    const { pageSize } = this.#sizes;
    const sequence = this.#sequences.get(slot);
    if (sequence === undefined) return;
    const rowOf = (position: number) => rowIn(devicePages, position, pageSize);
    for (let position = 0; position < start; position++)
      this.#expect(sequence, rowOf(position), position, `prefill in row ${slot}`);
    for (let position = start; position < start + tokens.length; position++) {
      // The host's page is new, whatever it held before.
      if (position % pageSize === 0) this.#poisonHost(pages[position / pageSize] ?? 0);
      this.#write('device', sequence, rowOf(position), position);
    }
  }

  #decode(decodes: readonly Decode[]): { hits: number; misses: number; bytes: number } {
    const { hisparse, pageSize } = this.#sizes;
    const { topK: k, deviceBufferSize } = hisparse;
    const batch = this.#batch;
    batch.rows.fill(-1 as never);
    const totals = { hits: 0, misses: 0, bytes: 0 };
    for (const [request, decode] of decodes.entries()) {
      const { slot, position, pages, devicePages = [] } = decode;
      const sequence = this.#sequences.get(slot);
      if (sequence === undefined) continue;
      if (position === sequence.tokens.length) extend(sequence, decode.token ?? sequence.lastToken);
      const numPages = Math.floor(position / pageSize) + 1;
      this.#buffers.decode(slot, pages.slice(0, numPages), devicePages);
      if (position % pageSize === 0) this.#poisonHost(pages[numPages - 1] ?? 0);
      this.#write('device', sequence, this.#buffers.deviceRowOf(slot, position), position);
      this.#write('host', sequence, this.#buffers.hostRowOf(slot, position), position);
      batch.rows[request] = slot;
      batch.seqLens[request] = BigInt(position + 1);
      if (position >= deviceBufferSize) this.counts.slowPath++;
    }
    for (let layer = 0; layer < numLayers; layer++) {
      const state = this.#buffers.layers[layer];
      if (state !== undefined) {
        for (const [request, { position }] of decodes.entries()) {
          batch.topK.set(chooseTokens(k, position, this.random), request * k);
        }
        const { hits, misses } = swapIn({ ...batch, state });
        totals.hits += hits;
        totals.misses += misses;
      }
      const [host, device] = [this.#pools.host.layer(layer), this.#pools.device.layer(layer)];
      totals.bytes += copyMisses({ plan: batch.plan, topK: k, rowBytes, host, device });
      for (const [request, { slot, position }] of decodes.entries())
        this.#expectChosen(batch, layer, request, slot, position);
    }
    return totals;
  }

  #expectChosen(
    { topK, locations, sizes }: SwapInProblem,
    layer: number,
    request: number,
    slot: number,
    newest: number,
  ): void {
    const sequence = this.#sequences.get(slot);
    if (sequence === undefined) return;
    for (let i = request * sizes.topK; i < (request + 1) * sizes.topK; i++) {
      const [token = -1, location = -1] = [topK[i], locations[i]];
      const where = `decode of position ${newest} in row ${slot}`;
      if (token >= 0 && token <= newest) this.#expect(sequence, location, token, where, layer);
      else if (location !== -1) this.violations.push(`${where}: ${token} has a location`);
    }
  }

  #write(pool: 'device' | 'host', sequence: Sequence, row: number, position: number): void {
    for (let layer = 0; layer < numLayers; layer++) {
      const bytes = this.#pools[pool].row(layer, row);
      if (sequence.isBroken) bytes.fill(poison);
      else intsOf(bytes).set([sequence.states[position] ?? wrong, position, layer, 0]);
    }
  }

  #expect(sequence: Sequence, row: number, position: number, where: string, only?: number): void {
    if (sequence.isBroken) return;
    for (let layer = only ?? 0; layer <= (only ?? numLayers - 1); layer++) {
      const [state, place, ofLayer] = row < 0 ? [] : intsOf(this.#pools.device.row(layer, row));
      const expected = (sequence.states[position] ?? wrong) | 0;
      if (state === expected && place === position && ofLayer === layer) continue;
      const found = `${state} of ${place} in layer ${ofLayer}`;
      this.violations.push(`${where}, layer ${layer}: ${found} in place of position ${position}`);
    }
  }

  #poisonHost(page: number): void {
    for (let layer = 0; layer < numLayers; layer++) this.#pools.host.page(layer, page).fill(poison);
  }

  async #copy(kind: 'store' | 'load', pages: readonly PagePair[]): Promise<void> {
    const own = pages.map(({ devicePage }) => devicePage);
    for (const page of own) {
      if (page === 0 || this.#copying.has(page)) this.violations.push(`${kind} of page ${page}`);
      this.#copying.add(page);
    }
    this.counts[kind === 'store' ? 'stores' : 'loads']++;
    const isLate = this.random.chance(this.faults.lateness);
    const delay = isLate ? 500 : this.random.integer(0, 40);
    await new Promise<void>((resolve) => this.time.after(delay, resolve));
    // What is copied is what is there at the end: all that was to be read has to be there still.
    copyPages(kind, pages, this.#pools);
    for (const page of own) this.#copying.delete(page);
    if (!this.random.chance(this.copyFailure)) return;
    this.counts.failedCopies++;
    for (const { devicePage, hostPage } of pages) {
      if (kind === 'store') this.#poisonHost(hostPage);
      else this.#poisonDevice(devicePage);
    }
    throw new Error('the simulated copy has failed');
  }

  #released(pages: readonly number[]): void {
    const used = new Set(this.inFlight.flatMap(devicePagesOf));
    for (const page of pages) {
      if (used.has(page) || this.#copying.has(page))
        this.violations.push(`page ${page} is released while a step or a copy uses it`);
      this.#poisonDevice(page);
    }
    this.counts.released += pages.length;
  }

  #poisonDevice(page: number): void {
    for (let layer = 0; layer < numLayers; layer++)
      this.#pools.device.page(layer, page).fill(poison);
  }

  /** No page belongs to two rows of a plan, and no copy uses one. */
  #checkDevicePages(plan: BatchPlan): void {
    const { bufferSize } = this.#buffers.shape.sizes;
    for (const { slot, position, devicePages = [] } of plan.decodes) {
      const needed = Math.floor(Math.min(position, bufferSize) / this.#sizes.pageSize) + 1;
      if (devicePages.length !== needed)
        this.violations.push(`row ${slot} has ${devicePages.length} device pages of ${needed}`);
    }
    const pages = devicePagesOf(plan);
    if (new Set(pages).size !== pages.length || pages.includes(0))
      this.violations.push(`step ${plan.step}: two rows have the same device page`);
    if (pages.some((page) => this.#copying.has(page)))
      this.violations.push(`step ${plan.step}: uses a page that is being copied`);
  }
}

function devicePagesOf({ decodes, prefills }: BatchPlan): number[] {
  return [...decodes, ...prefills].flatMap(({ devicePages = [] }) => devicePages);
}

/** Of a sequence whose newest token is at `newest`: recent ones, any, and some that are none. */
function chooseTokens(k: number, newest: number, random: Random): number[] {
  const isNear = random.chance(0.5);
  return Array.from({ length: k }, (_, i) => {
    if (random.chance(0.05)) return random.pick([-1, newest + 1, 2 ** 31 - 1]);
    return isNear ? newest - i : random.integer(0, newest);
  });
}

function extend(sequence: Sequence, token: number): void {
  sequence.states.push(nextState(sequence.states.at(-1) ?? empty, token) | 0);
  sequence.tokens.push(token);
}

function rowIn(pages: readonly number[], position: number, pageSize: number): number {
  return (pages[Math.floor(position / pageSize)] ?? 0) * pageSize + (position % pageSize);
}

function intsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}
