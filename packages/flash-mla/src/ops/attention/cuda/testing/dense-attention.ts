/** Problems of dense attention, held to the reference in the simulator. */

import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from '@flash-mla/core';
import { expect } from 'vitest';
import type { OperationPlan } from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import type { TensorView } from '../../../../runtime/tensor/view.ts';
import type { Element } from '../../../kernel-lib/cuda/element.ts';
import {
  limitsFor,
  SimContext,
  type testLimits,
} from '../../../kernel-lib/cuda/testing/sim-context.ts';
import {
  cacheAttention,
  type HostTensor,
  hostTensor,
  varlenAttention,
} from '../../../reference.ts';
import type { DenseAttentionArgs } from '../../contract.ts';
import type { DenseAttentionProblem } from '../problems.ts';

/** A kernel for this operation, whatever its plan. */
type DenseAttentionKernel = Parameters<
  typeof SimContext.prototype.run<DenseAttentionArgs, DenseAttentionProblem, OperationPlan>
>[0];

type Gpu = keyof typeof testLimits;

const codecs = {
  bf16: { encode: encodeBf16, decode: decodeBf16, nan: 0x7fc0 },
  f16: { encode: encodeF16, decode: decodeF16, nan: 0x7e00 },
};

/** Repeatable numbers, roughly normal. */
function normals(seed: number): () => number {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 24;
  };
  return () => next() + next() + next() + next() - 2;
}

function randomTensor(
  random: () => number,
  dtype: Element,
  shape: readonly number[],
  factor = 1.7,
): HostTensor<Element> {
  const data = new Uint16Array(shape.reduce((a, b) => a * b, 1));
  const { encode } = codecs[dtype];
  for (let i = 0; i < data.length; i++) data[i] = encode(random() * factor);
  return hostTensor(dtype, shape, data);
}

/** The same tensor with `gap` elements between rows of the innermost dimension, which hold NaN. */
function upload(context: SimContext, tensor: HostTensor<Element>, gap = 0): TensorView {
  const { dtype, shape, data } = tensor;
  const width = shape.at(-1) ?? 0;
  const rows = data.length / width;
  const spread = new Uint16Array(rows * (width + gap) + gap).fill(codecs[dtype].nan);
  for (let row = 0; row < rows; row++) {
    const at = gap + row * (width + gap);
    spread.set(data.subarray(row * width, (row + 1) * width), at);
  }
  const strides = [1];
  let step = width + gap;
  for (let d = shape.length - 2; d >= 0; d--) {
    strides.unshift(step);
    step *= shape[d];
  }
  return context.tensor(dtype, shape, spread, { strides, byteOffset: 2 * gap });
}

const ints = (context: SimContext, values: ArrayLike<number>, shape = [values.length]) =>
  context.tensor('i32', shape, Int32Array.from(values));

/** What calls of both kinds have. */
interface AttentionShape {
  readonly hQ: number;
  readonly hK: number;
  readonly dQk: number;
  readonly dV: number;
  readonly dtype: Element;
  readonly causal: boolean;
  readonly gpu: Gpu;
  readonly gap?: number;
  /** Fewer multiprocessors than work: selection takes large tiles. */
  readonly smCount?: number;
  readonly limits?: Partial<DeviceLimits>;
}

interface Answer {
  readonly out: ArrayLike<number>;
  readonly lse: ArrayLike<number>;
}

/** Runs the operation as the backend does and reads the results. Kernels leave counters at 0. */
function run(
  context: SimContext,
  kernel: DenseAttentionKernel,
  args: Omit<DenseAttentionArgs, 'out' | 'lse'>,
): Answer {
  const [totalQ = 0, hQ = 0] = args.q.shape;
  const dV = args.v.shape.at(-1) ?? 0;
  const { dtype } = args.q;
  const out = context.empty(dtype, [totalQ, hQ, dV], 2 * totalQ * hQ * dV);
  const lse = context.empty('f32', [hQ, totalQ], 4 * totalQ * hQ);
  const full: DenseAttentionArgs = { ...args, out, lse };
  const allocate = context.counters.bind(context);
  let counters: number | undefined;
  context.counters = (count) => {
    counters = allocate(count);
    return counters;
  };
  context.run(kernel, full);
  if (counters !== undefined) expect([...context.memory.read(counters, 4)]).toEqual([0, 0, 0, 0]);
  const decode = codecs[dtype as Element].decode;
  return {
    out: Float32Array.from(new Uint16Array(context.read(out).buffer), decode),
    lse: new Float32Array(context.read(lse).buffer),
  };
}

/** The tolerances of FlashMLA's tests. */
function expectClose(actual: Answer, expected: Answer): void {
  const compare = (name: 'out' | 'lse', absolute: number, relative: number) => {
    expect(actual[name].length).toBe(expected[name].length);
    for (let i = 0; i < expected[name].length; i++) {
      const [a, e] = [actual[name][i], expected[name][i]];
      if (a === e || Math.abs(a - e) <= Math.max(absolute, relative * Math.abs(e))) continue;
      throw new Error(`${name}[${i}]: ${a}, expected ${e}`);
    }
  };
  compare('out', 8e-4, 2.01 / 128);
  compare('lse', 1e-6, 8.01 / 65536);
}

const offsets = (lengths: readonly number[]): Int32Array<ArrayBuffer> => {
  let sum = 0;
  return Int32Array.from([0, ...lengths.map((n) => (sum += n))]);
};

/** Packed sequences of so many queries and keys. */
export interface PackedAttention extends AttentionShape {
  readonly q: readonly number[];
  readonly k: readonly number[];
}

/** Rows of keys that no request has: NaN. */
const unusedRows = 5;

/** A call over packed sequences gives what the reference does. */
export function expectPacked(kernel: DenseAttentionKernel, options: PackedAttention): void {
  const { q: lengthsQ, k: lengthsK, hQ, hK, dQk, dV, dtype, causal, gpu, gap } = options;
  const context = new SimContext({ ...limitsFor(gpu, options.smCount), ...options.limits });
  const random = normals(dQk + dV);
  const [totalQ, totalK] = [lengthsQ, lengthsK].map((lengths) => offsets(lengths).at(-1) ?? 0);
  const q = randomTensor(random, dtype, [totalQ, hQ, dQk]);
  const k = randomTensor(random, dtype, [totalK + unusedRows, hK, dQk]);
  const v = randomTensor(random, dtype, [totalK + unusedRows, hK, dV], 0.5);
  k.data.fill(codecs[dtype].nan, totalK * hK * dQk);
  v.data.fill(codecs[dtype].nan, totalK * hK * dV);
  const cuSeqlensQo = hostTensor('i32', [lengthsQ.length + 1], offsets(lengthsQ));
  const cuSeqlensKv = hostTensor('i32', [lengthsK.length + 1], offsets(lengthsK));
  const expected = varlenAttention({ q, k, v, cuSeqlensQo, cuSeqlensKv, causal });
  const actual = run(context, kernel, {
    q: upload(context, q, gap),
    k: upload(context, k, gap),
    v: upload(context, v, gap),
    cuSeqlensQ: ints(context, cuSeqlensQo.data),
    cuSeqlensK: ints(context, cuSeqlensKv.data),
    maxSeqLenQ: Math.max(...lengthsQ),
    maxSeqLenK: Math.max(...lengthsK),
    softmaxScale: 1 / Math.sqrt(dQk),
    causal,
  });
  expectClose(actual, expected);
}

/** Requests with a cache each, in blocks or pages. */
export interface CachedAttention extends AttentionShape {
  readonly sQ: number;
  readonly page: number;
  readonly paged: boolean;
}

/**
 * A call over a cache gives what the reference does. Rows of the cache that no request has are NaN, and
 * one page is missing where a request has several.
 */
export function expectCached(kernel: DenseAttentionKernel, options: CachedAttention): void {
  const { sQ, page, paged, hQ, hK, dQk, dV, dtype, causal, gpu, gap } = options;
  const context = new SimContext({ ...limitsFor(gpu, options.smCount), ...options.limits });
  const random = normals(page + dQk);
  const lengths = [97, 0, 130, -3];
  const b = lengths.length;
  const maxBlocks = Math.ceil(130 / page);
  const blocks = paged ? maxBlocks * b + 1 : b;
  const table = Int32Array.from({ length: b * maxBlocks }, (_, i) => (i * 7 + 3) % blocks);
  const q = randomTensor(random, dtype, [b, sQ, hQ, dQk]);
  const kCache = randomTensor(random, dtype, [blocks, page, hK, dQk]);
  const vCache = randomTensor(random, dtype, [blocks, page, hK, dV], 0.5);
  const first = 2 * maxBlocks;
  if (maxBlocks > 1) table[first] = -1;
  const used = new Set<number>();
  lengths.forEach((length, i) => {
    for (let t = 0; t < length; t++) {
      const block = paged ? (table[i * maxBlocks + Math.floor(t / page)] ?? 0) : i;
      used.add(block * page + (t % page));
    }
  });
  for (let row = 0; row < blocks * page; row++) {
    if (used.has(row)) continue;
    for (const [cache, width] of [
      [kCache, hK * dQk],
      [vCache, hK * dV],
    ] as const) {
      cache.data.fill(codecs[dtype].nan, row * width, (row + 1) * width);
    }
  }
  const cacheSeqlens = hostTensor('i32', [b], Int32Array.from(lengths));
  const blockTable = paged ? hostTensor('i32', [b, maxBlocks], table) : undefined;
  const expected = cacheAttention({ q, kCache, vCache, cacheSeqlens, blockTable, causal });
  // The backend sees all queries in a row, and (hQ, b · sQ) statistics.
  const lse = new Float64Array(expected.lse.length);
  expected.lse.forEach((value, i) => {
    const [s, h, r] = [i % sQ, Math.floor(i / sQ) % hQ, Math.floor(i / (sQ * hQ))];
    lse[h * b * sQ + r * sQ + s] = value;
  });
  const actual = run(context, kernel, {
    q: upload(context, { ...q, shape: [b * sQ, hQ, dQk] }, gap),
    k: upload(context, kCache, gap),
    v: upload(context, vCache, gap),
    seqlensK: ints(context, lengths),
    ...(paged ? { blockTable: ints(context, table, [b, maxBlocks]) } : {}),
    maxSeqLenQ: sQ,
    maxSeqLenK: maxBlocks * page,
    softmaxScale: 1 / Math.sqrt(dQk),
    causal,
  });
  expectClose(actual, { out: expected.out, lse });
}
