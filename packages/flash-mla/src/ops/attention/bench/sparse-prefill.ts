import type { Device } from '../../../runtime/device/device.ts';
import { defineBench } from '../../bench/define-bench.ts';
import { checkDivides } from '../../bench/lengths.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../../bench/operation.ts';
import { distinct, fillNormal, uniform } from '../../bench/random.ts';
import { Resources } from '../../bench/resources.ts';
import { UsageError } from '../../bench/usage-error.ts';
import { flashMlaSparseFwd } from '../index.ts';
import { sparsePrefill as sparsePrefillOperation } from '../operations.ts';

export interface SparsePrefillProblem extends BenchProblem {
  readonly sQ: number;
  readonly hQ: number;
  readonly sKv: number;
  readonly hKv: number;
  readonly topk: number;
  readonly dQk: number;
  readonly dV: number;
}

const defaults = (scale: Scale) =>
  ({
    ...(scale === 'cpu' ? { sQ: 64, sK: 8192 } : { sQ: 4096, sK: 32768 }),
    ...{ hQ: 128, hKv: 1, topk: 2048, dQk: 576 },
  }) satisfies ProblemOptions;

export const sparsePrefill = defineBench<SparsePrefillProblem>({
  name: 'sparse-prefill',
  summary: 'flashMlaSparseFwd',
  accepts: ['sQ', 'hQ', 'hKv', 'sK', 'topk', 'dQk'],

  defaults,
  derived: '--s-k is at least --topk',

  problem(options: ProblemOptions, scale: Scale): SparsePrefillProblem {
    const { sQ, hQ, hKv, topk, dQk, sK: usual } = { ...defaults(scale), ...options };
    const { sK: sKv = Math.max(usual, topk) } = options;
    const dV = 512;
    if (dQk !== 576 && dQk !== 512)
      throw new UsageError('--d-qk of a sparse prefill is 576 or 512.');
    if (topk > sKv) throw new UsageError(`--topk ${topk} is more than the ${sKv} tokens of --s-k.`);
    checkDivides(hKv, hQ, '--h-kv', '--h-q');
    const queries = sQ * hQ * (dQk + dV) * 2;
    const attended = sQ * hKv * topk;
    return {
      row: { op: 'sparse_prefill_bf16', s_q: sQ, s_kv: sKv, topk, h_q: hQ, d_qk: dQk, h_kv: hKv },
      flops: 2 * hQ * sQ * topk * (dQk + dV),
      bytes: queries + attended * dQk * 2,
      footprint: queries + sKv * hKv * dQk * 2 + attended * 4,
      sQ,
      hQ,
      sKv,
      hKv,
      topk,
      dQk,
      dV,
    };
  },

  suite(scale) {
    if (scale === 'cpu') return [{}, { hQ: 64 }, { topk: 512, hQ: 64, dQk: 512 }];
    return [
      ...[8192, 32768, 131072].map((sK) => ({ sK })),
      { hQ: 64 },
      { topk: 1024, dQk: 512 },
      { topk: 512, hQ: 64, dQk: 512 },
    ];
  },

  async prepare(device: Device, problem: SparsePrefillProblem, copies: number) {
    const { sQ, hQ, sKv, hKv, topk, dQk, dV } = problem;
    const next = uniform(4);
    const own = new Resources();
    try {
      const sets: Parameters<typeof flashMlaSparseFwd>[0][] = [];
      for (let copy = 0; copy < copies; copy++) {
        const q = own.add(device.empty([sQ, hQ, dQk], 'bf16'));
        const kv = own.add(device.empty([sKv, hKv, dQk], 'bf16'));
        fillNormal(q, next);
        fillNormal(kv, next);
        const rows = new Int32Array(sQ * hKv * topk);
        for (let i = 0; i < sQ * hKv; i++) rows.set(distinct(topk, sKv, next), i * topk);
        sets.push({
          q,
          kv,
          indices: own.add(device.tensor(rows, [sQ, hKv, topk], 'i32')),
          smScale: dQk ** -0.5,
          dV,
          out: own.add(device.empty([sQ, hQ, dV], 'bf16')),
          maxLogits: own.add(device.empty([sQ, hQ], 'f32')),
          lse: own.add(device.empty([sQ, hQ], 'f32')),
        });
        await device.synchronize();
      }
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) flashMlaSparseFwd(set);
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
  operation: sparsePrefillOperation,

  call(device: Device, problem: SparsePrefillProblem): void {
    const { sQ, hQ, sKv, hKv, topk, dQk, dV } = problem;
    flashMlaSparseFwd({
      q: device.empty([sQ, hQ, dQk], 'bf16'),
      kv: device.empty([sKv, hKv, dQk], 'bf16'),
      indices: device.empty([sQ, hKv, topk], 'i32'),
      smScale: 1 / Math.sqrt(dQk),
      dV,
    });
  },
});
