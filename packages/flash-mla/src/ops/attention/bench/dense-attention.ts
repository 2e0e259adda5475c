import type { Device } from '../../../runtime/device/device.ts';
import { defineBench } from '../../bench/define-bench.ts';
import { attendedPairs, checkDivides, requestLengths } from '../../bench/lengths.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../../bench/operation.ts';
import { fillNormal, uniform } from '../../bench/random.ts';
import { Resources } from '../../bench/resources.ts';
import { largest } from '../../bench/sizes.ts';
import { UsageError } from '../../bench/usage-error.ts';
import { checkHeadDim } from '../api/head-dims.ts';
import { flashAttnVarlenFunc } from '../index.ts';
import { denseAttention as denseAttentionOperation } from '../operations.ts';

export interface DenseAttentionProblem extends BenchProblem {
  readonly dtype: 'bf16' | 'f16';
  readonly sQ: number;
  readonly hQ: number;
  readonly hKv: number;
  readonly dQk: number;
  readonly dV: number;
  readonly causal: boolean;
  readonly lengths: readonly number[];
}

const defaults = (scale: Scale) =>
  ({
    ...(scale === 'cpu' ? { b: 1, sK: 512, hQ: 16 } : { b: 4, sK: 4096, hQ: 128 }),
    ...{ dQk: 192, dV: 128, causal: true, dtype: 'bf16' },
  }) satisfies ProblemOptions;

export const denseAttention = defineBench<DenseAttentionProblem>({
  name: 'dense-attention',
  summary: 'flashAttnVarlenFunc over packed sequences',
  accepts: ['b', 'sQ', 'hQ', 'hKv', 'sK', 'dQk', 'dV', 'varlen', 'causal', 'dtype'],

  defaults,
  derived: '--s-q is --s-k, --h-kv is --h-q',

  problem(options: ProblemOptions, scale: Scale): DenseAttentionProblem {
    const { varlen = false, ...sizes } = { ...defaults(scale), ...options };
    const { b, sK, sQ = sK, hQ, hKv = hQ, dQk, dV, causal, dtype } = sizes;
    if (dtype === 'e4m3') throw new UsageError('--dtype of dense-attention is bf16 or f16.');
    checkDivides(hKv, hQ, '--h-kv', '--h-q');
    checkHeadDim('--d-qk', dQk, 8, 256);
    checkHeadDim('--d-v', dV, 8, 256);
    const lengths = requestLengths(b, sK, varlen);
    const tokens = lengths.reduce((sum, n) => sum + n, 0);
    const bytes = 2 * (b * sQ * hQ * (dQk + dV) + tokens * hKv * (dQk + dV));
    return {
      row: {
        op: `dense_attention_${dtype}`,
        b,
        s_q: sQ,
        h_q: hQ,
        h_kv: hKv,
        s_k: sK,
        d_qk: dQk,
        d_v: dV,
        varlen,
        causal,
      },
      flops: 2 * hQ * attendedPairs(sQ, lengths, causal) * (dQk + dV),
      bytes,
      footprint: bytes,
      dtype,
      sQ,
      hQ,
      hKv,
      dQk,
      dV,
      causal,
      lengths,
    };
  },

  suite(scale) {
    if (scale === 'cpu') return [{}, { hKv: 2, dQk: 128 }, { b: 2, sQ: 64, varlen: true }];
    return [
      {},
      { causal: false },
      { hKv: 8, dQk: 128 },
      { b: 16, sK: 2048, varlen: true, sQ: 256 },
    ];
  },

  async prepare(device: Device, problem: DenseAttentionProblem, copies: number) {
    const { dtype, sQ, hQ, hKv, dQk, dV, causal, lengths } = problem;
    const next = uniform(5);
    const own = new Resources();
    try {
      const b = lengths.length;
      const ends = [0];
      for (const n of lengths) ends.push((ends.at(-1) ?? 0) + n);
      const tokens = ends.at(-1) ?? 0;
      const starts = Array.from({ length: b + 1 }, (_, i) => i * sQ);
      const cuSeqlensQo = own.add(device.tensor(starts, [b + 1], 'i32'));
      const cuSeqlensKv = own.add(device.tensor(ends, [b + 1], 'i32'));
      const sets = Array.from({ length: copies }, () => {
        const q = own.add(device.empty([b * sQ, hQ, dQk], dtype));
        const k = own.add(device.empty([tokens, hKv, dQk], dtype));
        const v = own.add(device.empty([tokens, hKv, dV], dtype));
        for (const tensor of [q, k, v]) fillNormal(tensor, next);
        const out = own.add(device.empty([b * sQ, hQ, dV], dtype));
        const lse = own.add(device.empty([hQ, b * sQ], 'f32'));
        const sizes = { maxSeqlenQo: sQ, maxSeqlenKv: largest(lengths), causal };
        return { q, k, v, cuSeqlensQo, cuSeqlensKv, out, lse, ...sizes };
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) flashAttnVarlenFunc(set);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  machineCode: ['attend'],
  operation: denseAttentionOperation,

  call(device: Device, problem: DenseAttentionProblem): void {
    const { dtype, sQ, hQ, hKv, dQk, dV, causal, lengths } = problem;
    const batch = lengths.length;
    const tokens = lengths.reduce((sum, n) => sum + n, 0);
    flashAttnVarlenFunc({
      q: device.empty([batch * sQ, hQ, dQk], dtype),
      k: device.empty([tokens, hKv, dQk], dtype),
      v: device.empty([tokens, hKv, dV], dtype),
      cuSeqlensQo: device.empty([batch + 1], 'i32'),
      cuSeqlensKv: device.empty([batch + 1], 'i32'),
      maxSeqlenQo: sQ,
      maxSeqlenKv: largest(lengths),
      causal,
    });
  },
});
