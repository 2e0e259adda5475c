import { dtypeSize } from '@flash-mla/core';
import type { Device } from '../../../runtime/device/device.ts';
import { defineBench } from '../../bench/define-bench.ts';
import { checkDivides, checkWithin, requestLengths } from '../../bench/lengths.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../../bench/operation.ts';
import { fillNormal, permutation, uniform } from '../../bench/random.ts';
import { Resources } from '../../bench/resources.ts';
import { largest } from '../../bench/sizes.ts';
import { checkHeadDim } from '../api/head-dims.ts';
import { flashMlaWithKvCache, getMlaMetadata } from '../index.ts';
import { denseDecode as denseDecodeOperation } from '../operations.ts';

export interface DenseDecodeProblem extends BenchProblem {
  readonly dtype: 'bf16' | 'f16' | 'e4m3';
  readonly sQ: number;
  readonly hQ: number;
  readonly hKv: number;
  readonly dQk: number;
  readonly dV: number;
  readonly pageSize: number;
  readonly causal: boolean;
  readonly lengths: readonly number[];
}

const defaults = (scale: Scale) =>
  ({
    ...(scale === 'cpu' ? { b: 4, sK: 4096 } : { b: 128, sK: 8192 }),
    ...{ sQ: 1, hQ: 128, hKv: 1, dQk: 576, dV: 512, pageSize: 64, dtype: 'bf16' },
  }) satisfies ProblemOptions;

export const denseDecode = defineBench<DenseDecodeProblem>({
  name: 'dense-decode',
  summary: 'flashMlaWithKvCache over a paged cache',
  accepts: ['b', 'sQ', 'hQ', 'hKv', 'sK', 'dQk', 'dV', 'pageSize', 'varlen', 'causal', 'dtype'],

  defaults,

  problem(options: ProblemOptions, scale: Scale): DenseDecodeProblem {
    const { varlen = false, causal = false, ...sizes } = { ...defaults(scale), ...options };
    const { b, sQ, hQ, hKv, sK, dQk, dV, pageSize, dtype } = sizes;
    checkDivides(hKv, hQ, '--h-kv', '--h-q');
    checkHeadDim('--d-qk', dQk, 16, 576);
    checkHeadDim('--d-v', dV, 16, 512);
    checkWithin(dV, dQk, '--d-v', '--d-qk');
    const lengths = requestLengths(b, sK, varlen);
    const tokens = lengths.reduce((sum, n) => sum + n, 0);
    const size = dtypeSize(dtype);
    const q = b * sQ * hQ * dQk * size;
    const out = b * sQ * hQ * dV * (dtype === 'e4m3' ? 2 : size);
    const blocks = lengths.reduce((sum, n) => sum + Math.ceil(n / pageSize), 0);
    return {
      row: {
        op: `dense_decode_${dtype}`,
        b,
        s_q: sQ,
        h_q: hQ,
        s_k: sK,
        varlen,
        causal,
        h_kv: hKv,
        d_qk: dQk,
        d_v: dV,
        page_size: pageSize,
      },
      // As FlashMLA's figures count: what the causal mask hides is not taken off.
      flops: 2 * hQ * sQ * tokens * (dQk + dV),
      bytes: q + tokens * hKv * dQk * size + out,
      footprint: q + blocks * pageSize * hKv * dQk * size + out,
      dtype,
      sQ,
      hQ,
      hKv,
      dQk,
      dV,
      pageSize,
      causal,
      lengths,
    };
  },

  suite(scale) {
    if (scale === 'cpu') {
      return [
        { b: 4, hQ: 128, sK: 4096 },
        { b: 4, hQ: 64, sK: 4096 },
        { b: 4, hQ: 16, sK: 4096 },
        { b: 4, sQ: 2, hQ: 128, sK: 4096, causal: true },
        { b: 8, hQ: 128, sK: 2048, varlen: true },
        { b: 1, hQ: 128, sK: 16384 },
      ];
    }
    const long = [4096, 8192, 16384].flatMap((sK) => [1, 2].map((sQ) => ({ b: 128, sQ, sK })));
    return [
      ...long,
      { b: 128, sQ: 2, sK: 32768 },
      { b: 128, hQ: 16, sK: 8192 },
      { b: 128, hQ: 16, sK: 32768 },
      { b: 64, hQ: 16, sK: 16384 },
      ...[64, 32, 8].map((hQ) => ({ b: 128, hQ, sK: 8192 })),
      ...[4096, 32768, 131072].map((sK) => ({ b: 1, sK })),
      { b: 4, sK: 8192 },
      { b: 16, sK: 8192 },
      { b: 32, hQ: 16, sK: 4096 },
      { b: 32, sK: 4096 },
      { b: 1, hQ: 16, sK: 32768 },
      { b: 128, sK: 4096, varlen: true },
      { b: 128, sQ: 2, sK: 8192, varlen: true, causal: true },
      { b: 128, hQ: 16, sK: 8192, varlen: true },
    ];
  },

  async prepare(device: Device, problem: DenseDecodeProblem, copies: number) {
    const { dtype, sQ, hQ, hKv, dQk, dV, pageSize, causal, lengths } = problem;
    const b = lengths.length;
    const next = uniform(1);
    const own = new Resources();
    try {
      const maxBlocks = Math.ceil(largest(lengths) / pageSize);
      const blocks = lengths.reduce((sum, n) => sum + Math.ceil(n / pageSize), 0);
      const cacheSeqlens = own.add(device.tensor(lengths, [b], 'i32'));
      const [schedMeta, numSplits] = getMlaMetadata(
        cacheSeqlens,
        (sQ * hQ) / hKv,
        hKv,
        hQ,
        dtype === 'e4m3',
        null,
        { headDimQk: dQk, headDimV: dV },
      );
      own.add(schedMeta);
      const outDType = dtype === 'e4m3' ? 'bf16' : dtype;
      const sets = Array.from({ length: copies }, () => {
        const q = own.add(device.empty([b, sQ, hQ, dQk], dtype));
        const kCache = own.add(device.empty([blocks, pageSize, hKv, dQk], dtype));
        fillNormal(q, next);
        fillNormal(kCache, next);
        const table = new Int32Array(b * maxBlocks);
        const order = permutation(blocks, next);
        let taken = 0;
        lengths.forEach((n, i) => {
          const count = Math.ceil(n / pageSize);
          table.set(order.subarray(taken, taken + count), i * maxBlocks);
          taken += count;
        });
        const blockTable = own.add(device.tensor(table, [b, maxBlocks], 'i32'));
        const out = own.add(device.empty([b, sQ, hQ, dV], outDType));
        const lse = own.add(device.empty([b, hQ, sQ], 'f32'));
        const rest = { schedMeta, numSplits, cacheSeqlens, blockTable, headDimV: dV, causal };
        return { q, kCache, out, lse, ...rest };
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) flashMlaWithKvCache(set);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  machineCode: ['rows', 'attend'],
  operation: denseDecodeOperation,

  call(device: Device, problem: DenseDecodeProblem): void {
    const { dtype, sQ, hQ, hKv, dQk, dV, pageSize, causal, lengths } = problem;
    const blocksOf = (tokens: number) => Math.ceil(tokens / pageSize);
    const batch = lengths.length;
    const maxBlocks = blocksOf(largest(lengths));
    const numBlocks = lengths.reduce((sum, tokens) => sum + blocksOf(tokens), 0);
    const [schedMeta] = getMlaMetadata();
    flashMlaWithKvCache({
      q: device.empty([batch, sQ, hQ, dQk], dtype),
      kCache: device.empty([numBlocks, pageSize, hKv, dQk], dtype),
      blockTable: device.empty([batch, maxBlocks], 'i32'),
      cacheSeqlens: device.empty([batch], 'i32'),
      headDimV: dV,
      schedMeta,
      causal,
    });
  },
});
