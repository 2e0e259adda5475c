import type { Device } from '../../../runtime/device/device.ts';
import { defineBench } from '../../bench/define-bench.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../../bench/operation.ts';
import { fillNormal, uniform } from '../../bench/random.ts';
import { Resources } from '../../bench/resources.ts';
import { indexTopK } from '../api/index-top-k.ts';
import { indexTopKOperation } from '../operations.ts';

interface IndexTopKBenchProblem extends BenchProblem {
  readonly rows: number;
  readonly columns: number;
  readonly k: number;
}

const defaults = (scale: Scale) =>
  ({ rows: scale === 'cpu' ? 1 : 32, columns: 131_072, topk: 2048 }) satisfies ProblemOptions;

const tensorsOf = (device: Device, { rows, columns, k }: IndexTopKBenchProblem) => ({
  logits: device.empty([rows, columns], 'f32'),
  ends: device.empty([rows], 'i32'),
  out: device.empty([rows, k], 'i32'),
});

export const indexTopKBench = defineBench<IndexTopKBenchProblem>({
  name: 'index-top-k',
  summary: 'indexTopK of --topk of --rows normal rows of --columns',
  accepts: ['rows', 'columns', 'topk'],
  defaults,

  problem(options, scale) {
    const { rows, columns, topk: k } = { ...defaults(scale), ...options };
    const bytes = rows * (4 * columns + 4 * k + 4);
    const row = { op: 'index_top_k', rows, columns, topk: k };
    return { row, flops: 0, bytes, footprint: bytes, rows, columns, k };
  },

  suite: () => [{}, { columns: 8192 }, { rows: 1 }, { columns: 65_536 }],

  async prepare(device, problem, copies) {
    const next = uniform(22);
    const own = new Resources();
    try {
      const sets = Array.from({ length: copies }, () => {
        const tensors = tensorsOf(device, problem);
        for (const tensor of Object.values(tensors)) own.add(tensor);
        fillNormal(tensors.logits, next);
        tensors.ends.write(new Int32Array(problem.rows).fill(problem.columns));
        return { ...tensors, k: problem.k };
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) indexTopK(set);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  operation: indexTopKOperation,
  call(device, problem) {
    indexTopK({ ...tensorsOf(device, problem), k: problem.k });
  },
});
