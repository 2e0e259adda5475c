import {
  type Device,
  type FlashMlaSchedMeta,
  flashMlaWithKvCache,
  getMlaMetadata,
  type Tensor,
} from 'flash-mla';
import { device, type TaskContext } from '../session.ts';
import { checkStep, type Step } from './check.ts';
import { PagedCache } from './paged-cache.ts';
import { normals, permutation, scattered, uniform } from './random.ts';
import { createRows, type Rows } from './rows.ts';
import {
  headDimQk,
  headDimV,
  type LoopSample,
  type LoopSettings,
  newTokens,
  pagesOf,
  promptLengths,
  workOf,
} from './settings.ts';
import { type KernelTime, kernelTime, StepTimes } from './timing.ts';

/** Milliseconds between samples, and between measurements of the kernels alone. */
const [samplePeriod, kernelPeriod] = [100, 700];
/** More pages than that are not drawn. */
const mostPages = 4096;

/**
 * Decodes until it is aborted: each step appends a row to every request, takes a fresh page where the
 * newest is full, and attends. A request that has all its tokens gives its pages back, and another of the
 * same prompt length takes its place.
 */
export async function decode(
  settings: LoopSettings,
  { signal, emit }: TaskContext<LoopSample>,
): Promise<null> {
  const loop = await Loop.create(device(), settings);
  try {
    loop.advance();
    loop.enqueue();
    const check = await checkStep(loop.step);
    // The first step compiled the kernels; a second one tells how long they take.
    const second = performance.now();
    loop.enqueue();
    await device().synchronize();
    let kernel: KernelTime = { ms: performance.now() - second, isDeviceTime: false };
    const times = new StepTimes();
    let [steps, sampled, measured] = [1, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
    while (!signal.aborted) {
      const begin = performance.now();
      loop.advance();
      loop.enqueue();
      await device().synchronize();
      const end = performance.now();
      times.add(end - begin);
      steps++;
      if (end - measured > kernelPeriod) {
        kernel = await kernelTime(device(), () => loop.enqueue(), kernel.ms);
        measured = performance.now();
      }
      if (end - sampled < samplePeriod) continue;
      emit({ steps, check, ...loop.describe(times, kernel) });
      sampled = end;
      await turn();
    }
    return null;
  } finally {
    loop.dispose();
  }
}

class Loop {
  readonly #device: Device;
  readonly #settings: LoopSettings;
  readonly #cache: PagedCache;
  readonly #rows: Rows;
  readonly #tensors: Tensors;
  readonly #prompts: readonly number[];
  readonly #lengths: number[];
  readonly #indices: Int32Array | undefined;
  readonly #next: () => number;
  #source = 0;
  #finished = 0;

  private constructor(device: Device, settings: LoopSettings, rows: Rows, next: () => number) {
    const { batch, page, layout, topk } = settings;
    const { blocks, maxBlocks } = pagesOf(settings);
    this.#device = device;
    this.#settings = settings;
    this.#rows = rows;
    this.#next = next;
    this.#cache = new PagedCache(batch, maxBlocks, page, permutation(blocks, next));
    this.#prompts = promptLengths(settings);
    this.#lengths = [...this.#prompts];
    this.#indices = layout === 'bf16' ? undefined : new Int32Array(batch * topk);
    this.#tensors = allocate(device, settings, maxBlocks, next);
    for (const [request, length] of this.#lengths.entries()) this.#cache.grow(request, length);
  }

  static async create(device: Device, settings: LoopSettings): Promise<Loop> {
    const next = uniform(7);
    const rows = await createRows(device, settings, pagesOf(settings).blocks, next);
    try {
      return new Loop(device, settings, rows, next);
    } catch (error) {
      rows.dispose();
      throw error;
    }
  }

  /** Appends a token to every request and tells the device. */
  advance(): void {
    const { batch, page, topk } = this.#settings;
    const { blockTable, cacheSeqlens, indices, schedMeta } = this.#tensors;
    for (let request = 0; request < batch; request++) {
      const prompt = this.#prompts[request] as number;
      if ((this.#lengths[request] as number) >= prompt + newTokens(request)) {
        this.#cache.release(request);
        this.#lengths[request] = prompt;
        this.#finished++;
      }
      const token = this.#lengths[request] as number;
      this.#cache.grow(request, token + 1);
      this.#rows.write(this.#cache.blockOf(request, token), token % page, this.#source++);
      this.#lengths[request] = token + 1;
    }
    if (indices === undefined || this.#indices === undefined) {
      blockTable?.write(this.#cache.table);
      cacheSeqlens?.write(Int32Array.from(this.#lengths));
      schedMeta.reset();
      return;
    }
    this.#indices.fill(-1);
    for (let request = 0; request < batch; request++) {
      const tokens = scattered(topk, this.#lengths[request] as number, this.#next);
      const slots = tokens.map((token) => this.#cache.slotOf(request, token));
      this.#indices.set(slots, request * topk);
    }
    indices.write(this.#indices);
  }

  /** Enqueues the attention of this step. */
  enqueue(): void {
    const { q, out, lse, blockTable, cacheSeqlens, indices, schedMeta } = this.#tensors;
    const { kCache } = this.#rows;
    const common = { q, headDimV, schedMeta, out, lse };
    if (indices) {
      flashMlaWithKvCache({ ...common, kCache: kCache as Tensor<'u8'>, indices });
    } else if (blockTable && cacheSeqlens) {
      const paged = { kCache: kCache as Tensor<'bf16'>, blockTable, cacheSeqlens };
      flashMlaWithKvCache({ ...common, ...paged, causal: true });
    }
  }

  get step(): Step {
    const { q, out } = this.#tensors;
    return {
      settings: this.#settings,
      cache: this.#cache,
      rows: this.#rows,
      lengths: this.#lengths,
      q,
      out,
      indices: this.#indices,
    };
  }

  describe(times: StepTimes, kernel: KernelTime): Omit<LoopSample, 'steps' | 'check'> {
    const { batch, page } = this.#settings;
    const isDrawn = this.#cache.owners.length <= mostPages;
    return {
      tokensPerSecond: (batch * 1e3) / times.mean,
      stepMs: times.median,
      kernelMs: kernel.ms,
      isDeviceTime: kernel.isDeviceTime,
      ...workOf(this.#settings, this.#lengths),
      lengths: [...this.#lengths],
      finished: this.#finished,
      page,
      owners: isDrawn ? this.#cache.owners.slice() : new Int16Array(),
      newest: this.#lengths.map((length, request) => ({
        block: this.#cache.blockOf(request, length - 1),
        tokens: ((length - 1) % page) + 1,
      })),
    };
  }

  dispose(): void {
    this.#rows.dispose();
    if (this.#device.closed) return;
    for (const tensor of Object.values(this.#tensors)) tensor?.dispose();
  }
}

interface Tensors {
  readonly q: Tensor<'bf16'>;
  readonly out: Tensor<'bf16'>;
  readonly lse: Tensor<'f32'>;
  readonly schedMeta: FlashMlaSchedMeta;
  /** Dense. */
  readonly blockTable?: Tensor<'i32'>;
  readonly cacheSeqlens?: Tensor<'i32'>;
  /** Packed rows. */
  readonly indices?: Tensor<'i32'>;
}

function allocate(
  device: Device,
  { layout, batch, heads, topk }: LoopSettings,
  maxBlocks: number,
  next: () => number,
): Tensors {
  const columns = headDimQk[layout];
  // All requests ask the same; their pages differ.
  const queries = normals(heads * columns, next);
  const all = new Float32Array(batch * queries.length);
  for (let request = 0; request < batch; request++) all.set(queries, request * queries.length);
  const [schedMeta] = getMlaMetadata();
  return {
    q: device.tensor(all, [batch, 1, heads, columns], 'bf16'),
    out: device.empty([batch, 1, heads, headDimV], 'bf16'),
    lse: device.empty([batch, heads, 1], 'f32'),
    schedMeta,
    ...(layout === 'bf16'
      ? {
          blockTable: device.empty([batch, maxBlocks], 'i32'),
          cacheSeqlens: device.empty([batch], 'i32'),
        }
      : { indices: device.empty([batch, 1, topk], 'i32') }),
  };
}

/** Lets messages in. A timer would wait for 4 ms. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
