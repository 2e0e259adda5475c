import { type HiSparseOptions, hotBufferTableBytes, type ModelRunner } from '@flash-mla/engine';
import {
  Decoder,
  DecoderRunner,
  type LayerCache,
  type ModelConfig,
  matricesOfCache,
} from '@flash-mla/models';
import type { Device } from '../../runtime/device/device.ts';
import { packedRows } from '../../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import type { ModelCacheDType } from '../cache-dtype.ts';
import { type DeviceMatrix, DeviceOperations } from '../device-operations.ts';
import { emptyPlan, type ModelTimes, type Step, startOf, timeSteps } from './measure-model.ts';
import { RandomWeights } from './random-weights.ts';
import { writeIndexKeys, writeRows } from './sequence-template.ts';

/** Decoding behind so many tokens, in as many sequences as a part of the device's memory holds. */
export interface HiSparseProblem {
  readonly context: number;
  /** For all that is kept of sequences: K/V, index keys, and the tables of hot buffers. */
  readonly deviceBytes: number;
  /** H, and threads of a swap-in's CTA. */
  readonly deviceBufferSize: number;
  readonly swapInBlockSize: number;
  readonly kvCacheDType: ModelCacheDType;
  /**
   * `repeated`: every sequence gets a token of its own again and again, so that what its queries attend to
   * changes slowly. `drawn`: what the model draws, which with random weights attends to something else each time.
   */
  readonly tokens: 'repeated' | 'drawn';
}

/** What one way of keeping K/V has taken. */
export interface HiSparseTimes {
  readonly requests: number;
  readonly deviceBytes: number;
  readonly hostBytes: number;
  readonly times: ModelTimes;
  /** Of the timed steps: entries of choices that were in a hot buffer, those that were not, and copied bytes. */
  readonly hits: number;
  readonly misses: number;
  readonly bytesPerStep: number;
}

interface MeasureOptions {
  readonly seconds: number;
  readonly signal?: AbortSignal | undefined;
}

/** Steps before the clock runs: kernels are compiled, and hot buffers get what is chosen. */
const warmUpSteps = 6;
const mostSteps = 48;
/** Of an index key with its scale. */
const indexKeyBytes = 132;

/** A model of random weights with an indexer, with HiSparse and without. */
export class HiSparseBench implements Disposable {
  readonly #device: Device;
  readonly #config: ModelConfig;
  readonly #random: RandomWeights;
  readonly #topK: number;

  /** Throws OutOfMemoryError. */
  constructor(device: Device, config: ModelConfig, topK: number) {
    this.#device = device;
    this.#config = config;
    this.#topK = topK;
    this.#random = new RandomWeights(device, config);
  }

  /** The sequences that fit, and what they take. */
  sizes(problem: HiSparseProblem, isHot: boolean) {
    const { attention, indexer, numLayers } = this.#config;
    const { deviceBufferSize, deviceBytes, kvCacheDType } = problem;
    const values = attention.kvLoraRank + attention.ropeDim;
    const rowBytes = kvCacheDType === 'fp8' ? packedRows.v32.rowBytes : 2 * values;
    const numIndexLayers = indexer?.kinds.filter((kind) => kind === 'full').length ?? 0;
    const pages = Math.ceil((problem.context + warmUpSteps + mostSteps + 1) / pageSize);
    const bufferPages = deviceBufferSize / pageSize + 1;
    const keys = numIndexLayers * pages * pageSize * indexKeyBytes;
    const rows = (count: number) => numLayers * count * pageSize * rowBytes;
    const tables = hotBufferTableBytes({
      sizes: { topK: this.#topK, bufferSize: deviceBufferSize, pageSize },
      ...{ maxRunning: 1, maxModelLength: pages * pageSize, numIndexLayers },
      ...{ numHostPages: 1, numDevicePages: 1 },
    });
    const each = isHot ? keys + rows(bufferPages) + tables : keys + rows(pages);
    const requests = Math.floor(deviceBytes / each);
    const hostBytes = isHot ? requests * rows(pages) : 0;
    return { requests, pages, bufferPages, deviceBytes: requests * each, hostBytes };
  }

  async measure(
    problem: HiSparseProblem,
    isHot: boolean,
    options: MeasureOptions,
  ): Promise<HiSparseTimes> {
    const { requests, pages, bufferPages, deviceBytes, hostBytes } = this.sizes(problem, isHot);
    const ops = new DeviceOperations(this.#device, { kvCacheDType: problem.kvCacheDType });
    const decoder = new Decoder(this.#config, ops, this.#random.weights, pages * pageSize);
    const all = requests * pages + 1;
    const numDevicePages = isHot ? requests * bufferPages + 1 : all;
    const cache = decoder.createCache(numDevicePages, all);
    const hot = isHot
      ? ops.createHotCache?.(cache, {
          hisparse: this.#options(problem),
          ...{ maxRunning: requests, maxModelLength: pages * pageSize },
          ...{ numDevicePages, numHostPages: all },
        })
      : undefined;
    let own: (ModelRunner & Disposable) | undefined;
    try {
      const places = Array.from({ length: requests }, (_, slot) => ({
        slot,
        pages: rangeOf(1 + slot * pages, pages),
        ...(isHot && { devicePages: rangeOf(1 + slot * bufferPages, bufferPages) }),
      }));
      const target = { device: this.#device, decoder, pageSize, tokens: problem.context };
      this.#fillIndexKeys(target, cache, places, pages);
      const copyTo = (devicePages: readonly number[], hostPages: readonly number[]) =>
        devicePages.map((devicePage, i) => ({ devicePage, hostPage: hostPages[i] ?? 0 }));
      if (hot === undefined) this.#fillRows(target, cache, places);
      else {
        // As many tokens as the device has pages for, again and again: the host has more of them.
        const source = rangeOf(1, Math.min(pages, numDevicePages - 1));
        const tokens = Math.min(problem.context, source.length * pageSize);
        for (const { latents } of cache)
          writeRows({ ...target, tokens }, latents, source, this.#config);
        for (const { pages: own } of places) {
          for (let first = 0; first < own.length; first += source.length)
            await hot.transfers.store(
              copyTo(source, own.slice(first, first + source.length)).slice(0, own.length - first),
            );
        }
        for (const { pages: own, devicePages = [] } of places)
          await hot.transfers.load(copyTo(devicePages, own));
      }
      own = ops.createRunner?.(decoder, cache, hot);
      const runner = new CountingRunner(own ?? new DecoderRunner(decoder, cache, hot));
      const times = await timeSteps(runner, this.#steps(problem, places), {
        ...{ ...options, warmUpSteps, mostSteps, overlap: false },
      });
      const { hits, misses, bytes } = runner.after(warmUpSteps + 1);
      const bytesPerStep = bytes / Math.max(1, times.steps);
      return { requests, deviceBytes, hostBytes, times, hits, misses, bytesPerStep };
    } finally {
      own?.[Symbol.dispose]();
      hot?.[Symbol.dispose]();
      for (const matrix of matricesOfCache(cache)) ops.release(matrix);
    }
  }

  [Symbol.dispose](): void {
    this.#random[Symbol.dispose]();
  }

  #options({ deviceBufferSize, swapInBlockSize }: HiSparseProblem): HiSparseOptions {
    return { topK: this.#topK, deviceBufferSize, swapInBlockSize, hostToDeviceRatio: 1 };
  }

  #fillIndexKeys(
    target: Parameters<typeof writeIndexKeys>[0],
    cache: readonly LayerCache<DeviceMatrix>[],
    places: readonly Place[],
    pages: number,
  ): void {
    for (const { indexKeys } of cache) {
      if (indexKeys === undefined) continue;
      const keys = indexKeys as Tensor as Tensor<'u8'>;
      const [first, ...others] = places;
      writeIndexKeys(target, keys, first?.pages ?? [], this.#config);
      this.#repeat(keys, first, others, pages);
    }
  }

  #fillRows(
    target: Parameters<typeof writeRows>[0],
    cache: readonly LayerCache<DeviceMatrix>[],
    places: readonly Place[],
  ): void {
    for (const { latents } of cache) {
      const [first, ...others] = places;
      writeRows(target, latents, first?.pages ?? [], this.#config);
      this.#repeat(latents, first, others, (first?.pages.length ?? 0) * pageSize);
    }
  }

  /** What the first sequence has goes to the others: `extent` neighbours of the first dimension each. */
  #repeat(cache: Tensor, first: Place | undefined, others: readonly Place[], extent: number): void {
    const scale = extent / (first?.pages.length ?? 1);
    const part = ({ pages }: Place) => {
      const begin = (pages[0] ?? 0) * scale;
      return cache.slice(0, begin, begin + extent);
    };
    if (first === undefined) return;
    for (const other of others) this.#device.copy(part(first), part(other));
  }

  *#steps({ context, tokens }: HiSparseProblem, places: readonly Place[]): Generator<Step> {
    for (let i = 0; ; i++) {
      const decodes = places.map((place) => ({
        ...{ ...place, epoch: 0, position: context + i },
        token: i === 0 || tokens === 'repeated' ? this.#token(place.slot) : null,
      }));
      const starts = i === 0 ? places.map(({ slot }) => startOf(slot)) : [];
      const plan = { ...emptyPlan(i + 1), starts, decodes, numDecodeRows: places.length };
      yield { tokens: places.length, plan };
    }
  }

  #token(i: number): number {
    return (Math.imul(i + 1, 0x9e3779b1) >>> 0) % this.#config.vocabSize;
  }
}

/** Tokens of a page of device operations. */
const pageSize = 64;

interface Place {
  readonly slot: number;
  readonly pages: readonly number[];
  readonly devicePages?: readonly number[];
}

const rangeOf = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => first + i);

/** Remembers what each step has swapped in. */
class CountingRunner implements ModelRunner {
  readonly #runner: ModelRunner;
  readonly #counts: { readonly hits: number; readonly misses: number; readonly bytes: number }[] =
    [];

  constructor(runner: ModelRunner) {
    this.#runner = runner;
  }

  async run(plan: Parameters<ModelRunner['run']>[0]) {
    const output = await this.#runner.run(plan);
    this.#counts.push(output.swapIn ?? { hits: 0, misses: 0, bytes: 0 });
    return output;
  }

  after(steps: number) {
    const sum = { hits: 0, misses: 0, bytes: 0 };
    for (const { hits, misses, bytes } of this.#counts.slice(steps)) {
      sum.hits += hits;
      sum.misses += misses;
      sum.bytes += bytes;
    }
    return sum;
  }
}
