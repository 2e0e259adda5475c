import type { Device } from '../../../runtime/device/device.ts';
import { defineBench } from '../../bench/define-bench.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../../bench/operation.ts';
import { fillNormal, permutation, uniform } from '../../bench/random.ts';
import { Resources } from '../../bench/resources.ts';
import { fp8PagedMqaLogits } from '../api/fp8-paged-mqa-logits.ts';
import { indexDim, indexTokenBytes } from '../limits.ts';
import { mqaLogitsOperation } from '../operations.ts';

interface MqaLogitsBenchProblem extends BenchProblem {
  readonly b: number;
  readonly sQ: number;
  readonly sK: number;
  readonly hQ: number;
}

const page = 64;

const defaults = (scale: Scale) =>
  ({
    ...{ b: scale === 'cpu' ? 1 : 32, sQ: 1 },
    ...{ sK: scale === 'cpu' ? 4096 : 131_072, hQ: 64 },
  }) satisfies ProblemOptions;

const pagesOf = ({ b, sK }: MqaLogitsBenchProblem) => b * Math.ceil(sK / page);

function tensorsOf(device: Device, problem: MqaLogitsBenchProblem) {
  const { b, sQ, hQ, sK } = problem;
  return {
    q: device.empty([b, sQ, hQ, indexDim], 'e4m3'),
    weights: device.empty([b, sQ, hQ], 'f32'),
    kvCache: device.empty([pagesOf(problem), page, 1, indexTokenBytes], 'u8'),
    blockTable: device.empty([b, Math.ceil(sK / page)], 'i32'),
    contextLens: device.empty([b, sQ], 'i32'),
    out: device.empty([b * sQ, sK], 'f32'),
  };
}

export const mqaLogitsBench = defineBench<MqaLogitsBenchProblem>({
  name: 'mqa-logits',
  summary: 'fp8PagedMqaLogits of --b requests with --s-q queries of --h-q heads and --s-k tokens',
  accepts: ['b', 'sQ', 'sK', 'hQ'],
  defaults,

  problem(options, scale) {
    const { b, sQ, sK, hQ } = { ...defaults(scale), ...options };
    const read = b * sK * indexTokenBytes + b * sQ * hQ * (indexDim + 4);
    const bytes = read + b * sQ * sK * 4;
    return {
      row: { op: 'paged_mqa_logits', b, s_q: sQ, s_k: sK, heads: hQ },
      ...{ flops: 2 * b * sQ * sK * hQ * indexDim, bytes, footprint: bytes },
      ...{ b, sQ, sK, hQ },
    };
  },

  suite: (scale) =>
    scale === 'cpu' ? [{}] : [{}, { b: 1 }, { b: 1, sQ: 512, sK: 32_768 }, { hQ: 32 }],

  async prepare(device, problem, copies) {
    const next = uniform(21);
    const own = new Resources();
    try {
      const { b, sQ, sK } = problem;
      const sets = Array.from({ length: copies }, () => {
        const tensors = tensorsOf(device, problem);
        for (const tensor of Object.values(tensors)) own.add(tensor);
        fillNormal(tensors.q, next);
        fillNormal(tensors.weights, next);
        // Bytes of all kinds; what is no number costs as much as what is.
        const bytes = new Uint8Array(1 << 20).map(() => Math.floor(next() * 120));
        const flat = tensors.kvCache.reshape([tensors.kvCache.size]);
        for (let at = 0; at < flat.size; at += bytes.length) {
          const count = Math.min(bytes.length, flat.size - at);
          flat.slice(0, at, at + count).write(bytes.subarray(0, count));
        }
        tensors.blockTable.write(permutation(pagesOf(problem), next));
        tensors.contextLens.write(
          Int32Array.from({ length: b * sQ }, (_, i) => sK - sQ + 1 + (i % sQ)),
        );
        return { ...tensors, maxContextLen: sK, cleanLogits: false };
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) fp8PagedMqaLogits(set);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  operation: mqaLogitsOperation,
  call(device, problem) {
    fp8PagedMqaLogits({ ...tensorsOf(device, problem), maxContextLen: problem.sK });
  },
});
