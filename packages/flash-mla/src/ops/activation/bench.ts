import type { Device } from '../../runtime/device/device.ts';
import { defineBench } from '../bench/define-bench.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../bench/operation.ts';
import { fillNormal, uniform } from '../bench/random.ts';
import { Resources } from '../bench/resources.ts';
import { swiGluOperation } from './operation.ts';
import { swiGlu } from './swi-glu.ts';

interface SwiGluBenchProblem extends BenchProblem {
  readonly rows: number;
  readonly columns: number;
}

const defaults = (scale: Scale) =>
  ({ rows: scale === 'cpu' ? 64 : 4096, columns: 2048 }) satisfies ProblemOptions;

const tensorsOf = (device: Device, { rows, columns }: SwiGluBenchProblem) => ({
  x: device.empty([rows, 2 * columns], 'bf16'),
  out: device.empty([rows, columns], 'bf16'),
});

export const swiGluBench = defineBench<SwiGluBenchProblem>({
  name: 'swi-glu',
  summary: 'swiGlu of --rows bf16 rows with a result of --columns',
  accepts: ['rows', 'columns'],
  defaults,

  problem(options, scale) {
    const { rows, columns } = { ...defaults(scale), ...options };
    const bytes = 6 * rows * columns;
    const row = { op: 'swi_glu', rows, columns };
    return { row, flops: 0, bytes, footprint: bytes, rows, columns };
  },

  suite: () => [{}, { rows: 1, columns: 1408 }],

  async prepare(device, problem, copies) {
    const next = uniform(11);
    const own = new Resources();
    try {
      const sets = Array.from({ length: copies }, () => {
        const tensors = tensorsOf(device, problem);
        for (const tensor of Object.values(tensors)) fillNormal(own.add(tensor), next);
        return tensors;
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) swiGlu(set);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  operation: swiGluOperation,
  call(device, problem) {
    swiGlu(tensorsOf(device, problem));
  },
});
