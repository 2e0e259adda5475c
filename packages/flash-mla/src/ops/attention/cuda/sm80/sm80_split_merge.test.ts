import { decodeBf16, decodeF16 } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { openDevice } from '../../../../open-device.ts';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, SimContext } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import { blocksOfLengths, computeTileSchedule } from '../../schedule/tile-scheduler.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import type { SplitMerge } from './mla/merge-splits.ts';
import { denseDecodeKernel, portableDenseDecode } from './sm80_dense_decode_launch.ts';

const limits = limitsFor('h200');

interface Batch {
  readonly lengths: readonly number[];
  readonly numParts: number;
  readonly dtype?: DenseDecodeProblem['dtype'];
  readonly numHeadsQ?: number;
  readonly numHeadsKv?: number;
  readonly seqLenQ?: number;
  readonly splitBlocks?: number;
}

/** Deterministic values between −1 and 1. */
function values(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >> 8) / 2 ** 23;
  };
}

const pageSize = 64;
const headDim = 128;

function problemOf(batch: Batch): DenseDecodeProblem {
  const { lengths, numParts, dtype = 'bf16', numHeadsQ = 4, numHeadsKv = 1, seqLenQ = 1 } = batch;
  const maxBlocks = Math.ceil(Math.max(...lengths, 1) / pageSize);
  return {
    dtype,
    outDtype: dtype === 'f16' ? 'f16' : 'bf16',
    batch: lengths.length,
    seqLenQ,
    numHeadsQ,
    numHeadsKv,
    headDimQk: headDim,
    headDimV: headDim,
    causal: seqLenQ > 1,
    softmaxScale: 0.3,
    numBlocks: lengths.length * maxBlocks,
    pageSize,
    maxBlocks,
    blockTableStride: maxBlocks,
    hasDescaleQ: dtype === 'e4m3',
    hasDescaleK: dtype === 'e4m3',
    q: { strides: [seqLenQ * numHeadsQ * headDim, numHeadsQ * headDim, headDim], alignment: 16 },
    kCache: {
      strides: [pageSize * numHeadsKv * headDim, numHeadsKv * headDim, headDim],
      alignment: 16,
    },
    plan: { numParts, blockTokens: 64, overheadBlocks: 5, splitBlocks: batch.splitBlocks ?? 0 },
    scheduledSeqLenK: maxBlocks * pageSize,
  };
}

function codes(dtype: DenseDecodeProblem['dtype'], count: number, seed: number) {
  const random = values(seed);
  if (dtype === 'e4m3') {
    return Uint8Array.from({ length: count }, () => {
      const x = random();
      return (x < 0 ? 0x80 : 0) | (0x28 + Math.floor(Math.abs(x) * 24));
    });
  }
  return Uint16Array.from({ length: count }, () => {
    const x = random();
    if (dtype === 'f16') return (x < 0 ? 0x8000 : 0) | Math.floor(0x3000 + Math.abs(x) * 0xc00);
    return new Uint32Array(Float32Array.of(x).buffer)[0] >>> 16;
  });
}

/** A batch in the simulator: a function that decodes it with other lengths as well. */
function decoder(batch: Batch, choose: () => SplitMerge | undefined, reversed = false) {
  const problem = problemOf(batch);
  const { dtype, outDtype, seqLenQ, numHeadsQ, numHeadsKv, maxBlocks, plan } = problem;
  const context = new SimContext(limits);
  context.reversed = reversed;
  const kernel = denseDecodeKernel({ choose });
  const planned = kernel.plan(problem, limits);
  const allocate = context.counters.bind(context);
  let counters = { count: 0, address: 0 };
  context.counters = (count) => {
    counters = { count, address: allocate(count) };
    return counters.address;
  };
  const run = kernel.bind(context, planned);
  const b = problem.batch;
  const q = context.tensor(
    dtype,
    [b, seqLenQ, numHeadsQ, headDim],
    codes(dtype, b * seqLenQ * numHeadsQ * headDim, 1),
  );
  const blocks = b * maxBlocks;
  const kCache = context.tensor(
    dtype,
    [blocks, pageSize, numHeadsKv, headDim],
    codes(dtype, blocks * pageSize * numHeadsKv * headDim, 2),
  );
  const table = context.tensor(
    'i32',
    [b, maxBlocks],
    Int32Array.from({ length: blocks }, (_, i) => blocks - 1 - i),
  );
  const factor = (x: number) =>
    dtype === 'e4m3' ? context.tensor('f32', [1], Float32Array.of(x)) : undefined;
  const [descaleQ, descaleK] = [factor(0.5), factor(2)];

  return (lengths: readonly number[]) => {
    const { metadata, numSplits } = computeTileSchedule(blocksOfLengths(lengths, 64), plan);
    const rows = b * seqLenQ * numHeadsQ;
    const out = context.tensor(
      outDtype,
      [b, seqLenQ, numHeadsQ, headDim],
      new Uint16Array(rows * headDim).fill(0x7fff),
    );
    const lse = context.tensor('f32', [b, numHeadsQ, seqLenQ], new Float32Array(rows).fill(-7));
    const args = {
      ...{ q, kCache, blockTable: table, headDimV: headDim, causal: problem.causal, out, lse },
      softmaxScale: problem.softmaxScale,
      seqlens: context.tensor('i32', [b], Int32Array.from(lengths)),
      ...{ descaleQ, descaleK },
      schedule: {
        metadata: context.tensor('i32', [plan.numParts, 8], metadata),
        numSplits: context.tensor('i32', [b + 1], numSplits),
        plan,
      },
    };
    run(args, problem, context);
    const { count, address } = counters;
    const counted = count > 0 ? context.memory.read(address, count * 4) : new Uint8Array();
    return {
      bits: new Uint16Array(context.read(out).buffer),
      lse: new Float32Array(context.read(lse).buffer),
      mostSplits: Math.max(...numSplits.map((n, i) => n - (numSplits[i - 1] ?? 0)).slice(1)),
      counters: new Uint32Array(counted.buffer),
      launches: Object.keys(planned.launches),
    };
  };
}

const rowsOf = ({ numHeadsQ = 4, numHeadsKv = 1, seqLenQ = 1 }: Batch): 8 | 16 =>
  (numHeadsQ / numHeadsKv) * seqLenQ <= 8 ? 8 : 16;

describe('splits that CTAs merge themselves', () => {
  const batches: readonly (Batch & { readonly name: string; readonly splits: number })[] = [
    {
      name: 'lengths of all kinds',
      lengths: [700, 0, 64, 1500, 0, 1, 333],
      numParts: 14,
      splits: 5,
    },
    { name: 'more parts than blocks', lengths: [130, 0, 70], numParts: 9, splits: 2 },
    {
      name: '16 rows of f16',
      lengths: [900, 400],
      numParts: 5,
      dtype: 'f16',
      numHeadsQ: 16,
      splits: 3,
    },
    {
      name: 'two KV heads, two queries',
      ...{
        lengths: [500, 90, 600],
        numParts: 7,
        numHeadsQ: 12,
        numHeadsKv: 2,
        seqLenQ: 2,
        splits: 3,
      },
    },
    { name: 'e4m3', lengths: [900, 20, 300], numParts: 8, dtype: 'e4m3', numHeadsQ: 16, splits: 5 },
    { name: 'two levels', lengths: [64, 64 * 34, 0], numParts: 20, splits: 17 },
    { name: 'three levels', lengths: [64, 64 * 140], numParts: 72, splits: 70 },
  ];
  it.each(batches)('$name: as the combine kernel has it', (batch) => {
    const rows = rowsOf(batch);
    const expected = decoder(batch, () => undefined)(batch.lengths);
    expect(expected.launches).toEqual(['main', 'combine']);
    expect(expected.mostSplits).toBe(batch.splits);
    const merged = decoder(batch, () => ({ rows, looksAhead: true }))(batch.lengths);
    expect(merged.launches).toEqual(['main']);
    const decode = batch.dtype === 'f16' ? decodeF16 : decodeBf16;
    merged.lse.forEach((lse, i) => {
      const { lse: wanted } = expected;
      if (Number.isFinite(wanted[i])) expect(lse).toBeCloseTo(wanted[i], 5);
      else expect(lse).toBe(wanted[i]);
    });
    merged.bits.forEach((bits, i) => {
      const wanted = decode(expected.bits[i]);
      // Another last bit of a weight may round an output the other way.
      expect(Math.abs(decode(bits) - wanted)).toBeLessThanOrEqual(
        2 ** -7 * Math.abs(wanted) + 1e-6,
      );
    });
  });

  it.each(batches)('$name: the same bits whoever comes last', (batch) => {
    const rows = rowsOf(batch);
    const results = [true, false].flatMap((looksAhead) =>
      [false, true].map((reversed) => {
        const decode = decoder(batch, () => ({ rows, looksAhead }), reversed);
        const { bits, lse, counters } = decode(batch.lengths);
        expect(counters.every((n) => n === 0)).toBe(true);
        return { bits, lse };
      }),
    );
    for (const result of results) expect(result).toEqual(results[0]);
  });

  it('finds the counters as they were, with other lengths on the same schedule shape', () => {
    const batch = { lengths: [1500, 0, 700, 64], numParts: 8 };
    const merge = (): SplitMerge => ({ rows: 8, looksAhead: true });
    const decode = decoder(batch, merge);
    const others = [batch.lengths, [64, 1500, 0, 900], [0, 0, 0, 1500], batch.lengths];
    const results = others.map(decode);
    for (const [i, { bits, lse, counters }] of results.entries()) {
      expect(counters.every((n) => n === 0)).toBe(true);
      const alone = decoder(batch, merge)(others[i]);
      expect({ bits, lse }).toEqual({ bits: alone.bits, lse: alone.lse });
    }
  });

  it('are for few rows and few splits, and not for splits that do not depend on the batch', () => {
    const launches = (changes: Partial<Batch>) => {
      const lengths = Array(64).fill(4096);
      const batch = { lengths, numParts: 132, numHeadsQ: 16, ...changes };
      return Object.keys(portableDenseDecode.plan(problemOf(batch), limits).launches);
    };
    expect(launches({})).toEqual(['main']);
    expect(launches({ numHeadsQ: 8, seqLenQ: 2 })).toEqual(['main']);
    expect(launches({ lengths: Array(32).fill(4096) })).toEqual(['main', 'combine']);
    expect(launches({ numHeadsQ: 64, numParts: 66 })).toEqual(['main', 'combine']);
    expect(launches({ splitBlocks: 16 })).toEqual(['main', 'combine']);
  });

  it('begin with counters at 0 where the first call is recorded', async () => {
    const device = await openDevice('sim');
    const b = 4;
    const random = values(5);
    const bf16 = (n: number) =>
      Uint16Array.from(
        { length: n },
        () => new Uint32Array(Float32Array.of(random()).buffer)[0] >>> 16,
      );
    const { flashMlaWithKvCache, getMlaMetadata } = await import('../../../../index.ts');
    const q = device.tensor(bf16(b * 4 * 576), [b, 1, 4, 576], 'bf16');
    const kCache = device.tensor(bf16(b * 6 * 64 * 576), [b * 6, 64, 1, 576], 'bf16');
    const blockTable = device.tensor(
      Int32Array.from({ length: b * 6 }, (_, i) => i),
      [b, 6],
      'i32',
    );
    const cacheSeqlens = device.tensor(Int32Array.of(380, 0, 64, 200), [b], 'i32');
    const args = { q, kCache, blockTable, cacheSeqlens, headDimV: 512 };
    let recorded: ReturnType<typeof flashMlaWithKvCache> | undefined;
    const graph = device.capture(() => {
      const [schedMeta] = getMlaMetadata();
      recorded = flashMlaWithKvCache({ ...args, schedMeta });
    });
    for (const lengths of [
      [380, 0, 64, 200],
      [0, 384, 384, 1],
    ]) {
      cacheSeqlens.write(Int32Array.from(lengths));
      const [schedMeta] = getMlaMetadata();
      const eager = flashMlaWithKvCache({ ...args, schedMeta });
      graph.replay();
      graph.replay();
      expect(await recorded?.out.read()).toEqual(await eager.out.read());
      expect(await recorded?.lse.read()).toEqual(await eager.lse.read());
    }
    graph.dispose();
    await device.dispose();
  }, 120_000);
});

describe('the decode kernel with a merge', () => {
  const shapes: readonly Partial<DenseDecodeProblem>[] = [
    {},
    { numHeadsQ: 8 },
    { dtype: 'f16', outDtype: 'f16' },
    { dtype: 'e4m3' },
    { dtype: 'e4m3', numHeadsQ: 8, pageSize: 48 },
    { pageSize: 48 },
    { headDimQk: 192 },
  ];
  const problem = problemOf({ lengths: Array(64).fill(4096), numParts: 132, numHeadsQ: 16 });
  const full = {
    ...{ headDimQk: 576, headDimV: 512 },
    q: { strides: [9216, 0, 576], alignment: 16 },
    kCache: { strides: [36864, 576, 0], alignment: 16 },
  };
  itAssembles(
    shapes.map((shape) => ({
      name: JSON.stringify(shape),
      launch(target, maxSharedPerBlock) {
        const sm = Number(target.replace(/\D/g, ''));
        const { main } = portableDenseDecode.plan(
          { ...problem, ...full, ...shape },
          { ...limits, sm, target, maxSharedPerBlock },
        ).launches;
        // Below 100 KB of shared memory tiles may have 32 rows, which are not merged.
        if (maxSharedPerBlock > 2 ** 17) expect(main.config.merge).toBeDefined();
        return main.config.merge ? main : undefined;
      },
    })),
  );
});
