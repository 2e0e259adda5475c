import {
  type Device,
  type FlashMlaSchedMeta,
  flashMlaWithKvCache,
  getMlaMetadata,
  type Tensor,
} from 'flash-mla';
import type { Step } from './check.ts';
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
  type Timing,
  workOf,
} from './settings.ts';

/** More pages than that are not drawn. */
const mostPages = 4096;

/** The requests that are decoded together: their pages, rows and lengths, on the host and the device. */
export class Batch {
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

  static async create(device: Device, settings: LoopSettings): Promise<Batch> {
    const next = uniform(7);
    const rows = await createRows(device, settings, pagesOf(settings).blocks, next);
    try {
      return new Batch(device, settings, rows, next);
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

  /** What a sample says of the requests. */
  describe(): Omit<LoopSample, 'steps' | 'check' | keyof Timing> {
    const { page } = this.#settings;
    const isDrawn = this.#cache.owners.length <= mostPages;
    return {
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

/** Throws {@link OutOfMemoryError}, and then holds nothing. */
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
  const held: { dispose(): void }[] = [];
  const hold = <T extends { dispose(): void }>(taken: T): T => {
    held.push(taken);
    return taken;
  };
  try {
    return {
      q: hold(device.tensor(all, [batch, 1, heads, columns], 'bf16')),
      out: hold(device.empty([batch, 1, heads, headDimV], 'bf16')),
      lse: hold(device.empty([batch, heads, 1], 'f32')),
      schedMeta: hold(getMlaMetadata()[0]),
      ...(layout === 'bf16'
        ? {
            blockTable: hold(device.empty([batch, maxBlocks], 'i32')),
            cacheSeqlens: hold(device.empty([batch], 'i32')),
          }
        : { indices: hold(device.empty([batch, 1, topk], 'i32')) }),
    };
  } catch (error) {
    for (const each of held) each.dispose();
    throw error;
  }
}
