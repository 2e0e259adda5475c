import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import type { TensorView } from '../../../../runtime/tensor/view.ts';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
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
import type { MhaTile } from './mha/tile.ts';
import { portableDenseAttention } from './sm80_dense_attention_launch.ts';

type Element = 'bf16' | 'f16';
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

interface Shape {
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
}

interface Answer {
  readonly out: ArrayLike<number>;
  readonly lse: ArrayLike<number>;
}

/** Runs the operation as the backend does and reads the results. */
function run(context: SimContext, args: Omit<DenseAttentionArgs, 'out' | 'lse'>): Answer {
  const [totalQ = 0, hQ = 0] = args.q.shape;
  const dV = args.v.shape.at(-1) ?? 0;
  const { dtype } = args.q;
  const out = context.empty(dtype, [totalQ, hQ, dV], 2 * totalQ * hQ * dV);
  const lse = context.empty('f32', [hQ, totalQ], 4 * totalQ * hQ);
  const full: DenseAttentionArgs = { ...args, out, lse };
  context.run(portableDenseAttention, full);
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

describe('dense attention in the simulator', () => {
  const packed: (Shape & { q: readonly number[]; k: readonly number[] })[] = [
    {
      q: [20, 0, 37, 1],
      k: [70, 5, 37, 0],
      hQ: 4,
      hK: 2,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
    },
    {
      q: [70],
      k: [140],
      hQ: 2,
      hK: 1,
      dQk: 128,
      dV: 128,
      dtype: 'bf16',
      causal: false,
      gpu: 'ada',
    },
    { q: [150], k: [100], hQ: 1, hK: 1, dQk: 64, dV: 64, dtype: 'f16', causal: true, gpu: 'a100' },
    {
      q: [17, 3],
      k: [66, 130],
      hQ: 3,
      hK: 1,
      dQk: 96,
      dV: 80,
      dtype: 'f16',
      causal: true,
      gpu: 'h200',
    },
    {
      q: [9],
      k: [100],
      hQ: 2,
      hK: 2,
      dQk: 72,
      dV: 24,
      dtype: 'bf16',
      causal: false,
      gpu: 'ada',
      gap: 1,
    },
    {
      q: [9, 5],
      k: [30, 33],
      hQ: 2,
      hK: 1,
      dQk: 8,
      dV: 8,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
      gap: 4,
    },
    { q: [40], k: [90], hQ: 2, hK: 1, dQk: 256, dV: 256, dtype: 'bf16', causal: true, gpu: 'ada' },
    { q: [80], k: [90], hQ: 2, hK: 1, dQk: 256, dV: 256, dtype: 'f16', causal: true, gpu: 'h200' },
    {
      q: [140, 9],
      k: [150, 20],
      hQ: 2,
      hK: 1,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
      smCount: 1,
    },
    {
      q: [150, 40],
      k: [100, 140],
      hQ: 2,
      hK: 1,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'a100',
      smCount: 1,
    },
    {
      q: [70, 1],
      k: [80, 70],
      hQ: 2,
      hK: 1,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'ada',
      smCount: 1,
    },
    {
      q: [40],
      k: [150],
      hQ: 2,
      hK: 1,
      dQk: 256,
      dV: 256,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
      smCount: 1,
    },
  ];
  it.each(packed)('equals the reference on packed sequences: %o', (options) => {
    const { q: lengthsQ, k: lengthsK, hQ, hK, dQk, dV, dtype, causal, gpu, gap } = options;
    const context = new SimContext(limitsFor(gpu, options.smCount));
    const random = normals(dQk + dV);
    const [totalQ, totalK] = [lengthsQ, lengthsK].map((lengths) => offsets(lengths).at(-1) ?? 0);
    const q = randomTensor(random, dtype, [totalQ, hQ, dQk]);
    const k = randomTensor(random, dtype, [totalK, hK, dQk]);
    const v = randomTensor(random, dtype, [totalK, hK, dV], 0.5);
    const cuSeqlensQo = hostTensor('i32', [lengthsQ.length + 1], offsets(lengthsQ));
    const cuSeqlensKv = hostTensor('i32', [lengthsK.length + 1], offsets(lengthsK));
    const expected = varlenAttention({ q, k, v, cuSeqlensQo, cuSeqlensKv, causal });
    const actual = run(context, {
      q: upload(context, q, gap),
      k: upload(context, k, gap),
      v: upload(context, v, gap),
      cuSeqlensQ: ints(context, cuSeqlensQo.data),
      cuSeqlensK: ints(context, cuSeqlensKv.data),
      maxSeqlenQ: Math.max(...lengthsQ),
      maxSeqlenK: Math.max(...lengthsK),
      softmaxScale: 1 / Math.sqrt(dQk),
      causal,
    });
    expectClose(actual, expected);
  });

  const cached: (Shape & { sQ: number; page: number; paged: boolean })[] = [
    {
      sQ: 4,
      page: 16,
      paged: true,
      hQ: 8,
      hK: 2,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
    },
    {
      sQ: 1,
      page: 64,
      paged: true,
      hQ: 4,
      hK: 1,
      dQk: 128,
      dV: 128,
      dtype: 'bf16',
      causal: false,
      gpu: 'a100',
    },
    {
      sQ: 3,
      page: 7,
      paged: true,
      hQ: 2,
      hK: 2,
      dQk: 64,
      dV: 64,
      dtype: 'f16',
      causal: true,
      gpu: 'ada',
    },
    {
      sQ: 2,
      page: 130,
      paged: false,
      hQ: 6,
      hK: 2,
      dQk: 128,
      dV: 64,
      dtype: 'f16',
      causal: true,
      gpu: 'ada',
      gap: 8,
    },
  ];
  it.each(cached)('equals the reference over a cache: %o', (options) => {
    const { sQ, page, paged, hQ, hK, dQk, dV, dtype, causal, gpu, gap } = options;
    const context = new SimContext(limitsFor(gpu));
    const random = normals(page + dQk);
    const lengths = [97, 0, 130, -3];
    const b = lengths.length;
    const maxBlocks = Math.ceil(130 / page);
    const blocks = paged ? maxBlocks * b + 1 : b;
    const table = Int32Array.from({ length: b * maxBlocks }, (_, i) => (i * 7 + 3) % blocks);
    const q = randomTensor(random, dtype, [b, sQ, hQ, dQk]);
    const kCache = randomTensor(random, dtype, [blocks, page, hK, dQk]);
    const vCache = randomTensor(random, dtype, [blocks, page, hK, dV], 0.5);
    const cacheSeqlens = hostTensor('i32', [b], Int32Array.from(lengths));
    const blockTable = paged ? hostTensor('i32', [b, maxBlocks], table) : undefined;
    const expected = cacheAttention({ q, kCache, vCache, cacheSeqlens, blockTable, causal });
    // The backend sees all queries in a row, and (hQ, b · sQ) statistics.
    const lse = new Float64Array(expected.lse.length);
    expected.lse.forEach((value, i) => {
      const [s, h, r] = [i % sQ, Math.floor(i / sQ) % hQ, Math.floor(i / (sQ * hQ))];
      lse[h * b * sQ + r * sQ + s] = value;
    });
    const actual = run(context, {
      q: upload(context, { ...q, shape: [b * sQ, hQ, dQk] }, gap),
      k: upload(context, kCache, gap),
      v: upload(context, vCache, gap),
      seqlensK: ints(context, lengths),
      ...(paged ? { blockTable: ints(context, table, [b, maxBlocks]) } : {}),
      maxSeqlenQ: sQ,
      maxSeqlenK: maxBlocks * page,
      softmaxScale: 1 / Math.sqrt(dQk),
      causal,
    });
    expectClose(actual, { out: expected.out, lse });
  });
});

/** A problem of which only what matters to selection is told. */
function problemOf(given: Partial<DenseAttentionProblem>): DenseAttentionProblem {
  return {
    dtype: 'bf16',
    batch: 1,
    totalQ: 4096,
    totalK: 4096,
    numHeadsQ: 16,
    numHeadsKv: 16,
    headDimQk: 128,
    headDimV: 128,
    causal: true,
    softmaxScale: 1,
    maxSeqlenQ: 4096,
    maxSeqlenK: 4096,
    hasCuSeqlensQ: true,
    keys: 'packed',
    numBlocks: 0,
    pageSize: 0,
    maxBlocks: 0,
    blockTableStride: 0,
    q: { strides: [2048, 128], alignment: 16 },
    k: { strides: [2048, 128], alignment: 16 },
    v: { strides: [2048, 128], alignment: 16 },
    ...given,
  };
}

describe('dense attention as machine code', () => {
  const dims = [
    [64, 64],
    [96, 96],
    [128, 128],
    [192, 128],
    [72, 40],
    [256, 256],
    [256, 64],
    [64, 256],
  ];
  const problems = dims.flatMap(([headDimQk, headDimV]) => [
    problemOf({ headDimQk, headDimV }),
    problemOf({ headDimQk, headDimV, maxSeqlenQ: 1, keys: 'paged', pageSize: 16 }),
  ]);
  problems.push(
    problemOf({ headDimQk: 192, keys: 'paged', pageSize: 64, dtype: 'f16' }),
    problemOf({
      headDimQk: 192,
      q: { strides: [2049, 128], alignment: 2 },
      k: { strides: [2049, 128], alignment: 2 },
      v: { strides: [2049, 128], alignment: 2 },
    }),
  );
  itAssembles(
    problems.map((problem) => ({
      name: `(${problem.headDimQk}, ${problem.headDimV}), ${problem.maxSeqlenQ} queries, ${problem.keys}, alignment ${problem.k.alignment}`,
      launch: (target, maxSharedPerBlock) => {
        const limits = { ...limitsFor('h200'), target, maxSharedPerBlock };
        return portableDenseAttention.plan(problem, limits).launches.main;
      },
    })),
  );

  it.each([
    ['h200', { headDimQk: 192 }, { warps: 4, rowTiles: 2, tokens: 32, query: 'shared' }],
    ['h200', { headDimQk: 64, headDimV: 64 }, { warps: 4, rowTiles: 2, tokens: 64 }],
    ['a100', { headDimQk: 192 }, { warps: 4, rowTiles: 2, tokens: 32, query: 'shared' }],
    ['ada', { headDimQk: 192 }, { warps: 4, rowTiles: 2, tokens: 32, query: 'shared' }],
    ['ada', { headDimQk: 256, headDimV: 256 }, { warps: 4, rowTiles: 1, query: 'shared' }],
    ['h200', { maxSeqlenQ: 128 }, { warps: 4, rowTiles: 1, query: 'registers' }],
    ['h200', { maxSeqlenQ: 2, numHeadsQ: 32, batch: 99 }, { warps: 4, rowTiles: 1 }],
  ] as const)('selects for %s and %o', (gpu, given, tile: Partial<MhaTile>) => {
    const { config } = portableDenseAttention.plan(problemOf(given), limitsFor(gpu)).launches.main;
    expect(config).toMatchObject({ tile });
  });
});
