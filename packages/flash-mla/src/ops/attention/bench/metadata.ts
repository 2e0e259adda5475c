import type { Device } from '../../../runtime/device/device.ts';
import { defineBench } from '../../bench/define-bench.ts';
import { checkDivides, requestLengths } from '../../bench/lengths.ts';
import type { BenchProblem, ProblemOptions } from '../../bench/operation.ts';
import { Resources } from '../../bench/resources.ts';
import { getMlaMetadata, TileSchedulerMetadata } from '../index.ts';
import { computeSchedule } from '../operations.ts';

export interface MetadataProblem extends BenchProblem {
  readonly sQ: number;
  readonly hQ: number;
  readonly hKv: number;
  readonly lengths: readonly number[];
}

const defaults = {
  ...{ b: 128, sQ: 1, hQ: 128, hKv: 1, sK: 4096, varlen: true },
} satisfies ProblemOptions;

export const metadata = defineBench<MetadataProblem>({
  name: 'metadata',
  summary: 'tile-scheduler metadata of a dense decode',
  accepts: ['b', 'sQ', 'hQ', 'hKv', 'sK', 'varlen'],

  defaults: () => defaults,

  problem(options: ProblemOptions): MetadataProblem {
    const { b, sQ, hQ, hKv, sK, varlen } = { ...defaults, ...options };
    checkDivides(hKv, hQ, '--h-kv', '--h-q');
    return {
      row: { op: 'metadata', b, s_q: sQ, h_q: hQ, h_kv: hKv, s_k: sK, varlen },
      flops: 0,
      bytes: 4 * b,
      footprint: 4 * b,
      sQ,
      hQ,
      hKv,
      lengths: requestLengths(b, sK, varlen),
    };
  },

  suite: () => [{ b: 1 }, { b: 128 }],

  async prepare(device: Device, { sQ, hQ, hKv, lengths }: MetadataProblem, copies: number) {
    const own = new Resources();
    try {
      const problem = {
        kind: 'dense',
        batch: lengths.length,
        seqLenQ: sQ,
        numHeadsQ: hQ,
        numHeadsKv: hKv,
        headDimQk: 576,
        headDimV: 512,
        isFp8: false,
        deterministic: false,
      } as const;
      const sets = Array.from({ length: copies }, () => {
        const seqlens = own.add(device.tensor(lengths, [lengths.length], 'i32'));
        const request = { device, problem, seqlens };
        return { request, made: own.add(TileSchedulerMetadata.compute(request)) };
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) set.made.recompute(set.request);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  operation: computeSchedule,

  call(device: Device, problem: MetadataProblem): void {
    const { sQ, hQ, hKv, lengths } = problem;
    getMlaMetadata(device.empty([lengths.length], 'i32'), (sQ * hQ) / hKv, hKv, hQ);
  },
});
