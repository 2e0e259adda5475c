import { encodeElements } from '@flash-mla/core';
import { flashMlaWithKvCache, getMlaMetadata } from '../../ops/attention/index.ts';
import { uniform } from '../../ops/bench/random.ts';
import { Resources } from '../../ops/bench/resources.ts';
import { toleranceOf } from '../../ops/cases.ts';
import { type Comparison, compare } from '../../ops/conformance/compare.ts';
import { denseDecode, hostTensor } from '../../ops/reference.ts';
import type { Device } from '../../runtime/device/device.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';

/** The attention of one DeepSeek-V3 layer, for requests of different lengths. */
const shape = { b: 4, hQ: 128, dQk: 576, dV: 512, page: 64 } as const;
/** Tokens that each request begins with. */
const prompts = [180, 420, 760, 1130];

/** What the loop found. */
export interface LoopResult {
  readonly steps: number;
  readonly requests: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** Lengths after the last step. */
  readonly lengths: readonly number[];
  /** The last step's output against the float64 reference. */
  readonly check: Comparison;
}

/**
 * Decodes `steps` tokens for each of four requests through one layer's attention: every step writes a
 * row to each request's newest page (taking a fresh block when it is full), attends over all pages and
 * waits for the output. The last step is checked against the float64 reference.
 */
export async function decodeLoop(
  device: Device,
  steps: number,
  onStep: (step: number) => void,
  signal: AbortSignal,
): Promise<LoopResult> {
  const { b, hQ, dQk, dV, page } = shape;
  const next = uniform(7);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const normals = (count: number) =>
    encodeElements('bf16', Float32Array.from({ length: count }, normal));
  const lengths = [...prompts];
  const maxBlocks = Math.ceil((Math.max(...prompts) + steps) / page);
  const cache = new PagedCache(b, maxBlocks, page);

  const own = new Resources();
  try {
    const kCache = own.add(device.empty([b * maxBlocks, page, 1, dQk], 'bf16'));
    const blockTable = own.add(device.empty([b, maxBlocks], 'i32'));
    const cacheSeqlens = own.add(device.empty([b], 'i32'));
    const q = own.add(device.empty([b, 1, hQ, dQk], 'bf16'));
    const out = own.add(device.empty([b, 1, hQ, dV], 'bf16'));
    const lse = own.add(device.empty([b, hQ, 1], 'f32'));
    const [schedMeta] = getMlaMetadata();
    own.add(schedMeta);
    kCache.write(normals(kCache.size));
    for (const [request, length] of prompts.entries()) cache.grow(request, length);
    const queries = normals(q.size);
    // Of each step its own: equal keys have equal weights, whose roundings would add up instead of averaging.
    const fresh = normals(steps * b * dQk);

    const begin = performance.now();
    for (let step = 0; step < steps; step++) {
      signal.throwIfAborted();
      for (let request = 0; request < b; request++) {
        const position = lengths[request] as number;
        lengths[request] = position + 1;
        cache.grow(request, position + 1);
        const block = cache.blockOf(request, position);
        const offset = position % page;
        kCache
          .slice(0, block, block + 1)
          .slice(1, offset, offset + 1)
          .write(fresh.subarray((step * b + request) * dQk, (step * b + request + 1) * dQk));
      }
      blockTable.write(cache.table);
      cacheSeqlens.write(Int32Array.from(lengths));
      q.write(queries);
      schedMeta.reset();
      flashMlaWithKvCache({
        q,
        kCache,
        blockTable,
        cacheSeqlens,
        headDimV: dV,
        schedMeta,
        causal: true,
        out,
        lse,
      });
      await out.read();
      onStep(step + 1);
    }
    const seconds = (performance.now() - begin) / 1e3;
    const check = await checkLast({ q, kCache, blockTable, cacheSeqlens, out });
    const tokens = b * steps;
    return {
      steps,
      requests: b,
      tokens,
      seconds,
      tokensPerSecond: tokens / seconds,
      lengths,
      check,
    };
  } finally {
    own.dispose();
  }
}

/** Pages of each request: a free block is taken when the newest page is full. */
class PagedCache {
  readonly table: Int32Array;
  readonly #maxBlocks: number;
  readonly #page: number;
  #taken = 0;

  constructor(requests: number, maxBlocks: number, page: number) {
    this.table = new Int32Array(requests * maxBlocks).fill(-1);
    this.#maxBlocks = maxBlocks;
    this.#page = page;
  }

  /** Makes room for `length` tokens. */
  grow(request: number, length: number): void {
    for (let i = 0; i * this.#page < length; i++) {
      const entry = request * this.#maxBlocks + i;
      if (this.table[entry] === -1) this.table[entry] = this.#taken++;
    }
  }

  blockOf(request: number, position: number): number {
    return this.table[request * this.#maxBlocks + Math.floor(position / this.#page)] as number;
  }
}

async function checkLast(tensors: {
  q: Tensor<'bf16'>;
  kCache: Tensor<'bf16'>;
  blockTable: Tensor<'i32'>;
  cacheSeqlens: Tensor<'i32'>;
  out: Tensor<'bf16'>;
}): Promise<Comparison> {
  const { q, kCache, blockTable, cacheSeqlens, out } = tensors;
  const host = async <D extends 'bf16' | 'i32'>(tensor: Tensor<D>) =>
    hostTensor(tensor.dtype, tensor.shape, await tensor.read());
  const answer = denseDecode({
    q: await host(q),
    kCache: await host(kCache),
    blockTable: await host(blockTable),
    cacheSeqlens: await host(cacheSeqlens),
    headDimV: shape.dV,
    causal: true,
  });
  const tolerance = toleranceOf('dense-decode', 'out', 'bf16');
  return compare('out', 'reference', await host(out), { values: answer.out }, tolerance);
}
