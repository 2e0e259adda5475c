import { dtypeSize } from '@flash-mla/core';
import type { Device } from '../../runtime/device/device.ts';
import { defineBench } from '../bench/define-bench.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../bench/operation.ts';
import { fillNormal, uniform } from '../bench/random.ts';
import { Resources } from '../bench/resources.ts';
import { rmsNormOperation } from './operation.ts';
import { rmsNorm } from './rms-norm.ts';

interface RmsNormBenchProblem extends BenchProblem {
  readonly rows: number;
  readonly columns: number;
  readonly out: 'bf16' | 'e4m3';
}

const defaults = (scale: Scale) =>
  ({ rows: scale === 'cpu' ? 64 : 4096, columns: 2048, dtype: 'bf16' }) satisfies ProblemOptions;

const eps = 1e-6;

export const rmsNormBench = defineBench<RmsNormBenchProblem>({
  name: 'rms-norm',
  summary: 'rmsNorm of --rows bf16 rows after adding them to a residual; --dtype is the result',
  accepts: ['rows', 'columns', 'dtype'],
  defaults,

  problem(options, scale) {
    const { rows, columns, dtype } = { ...defaults(scale), ...options };
    const out = dtype === 'e4m3' ? 'e4m3' : 'bf16';
    const read = rows * columns * 2 * dtypeSize('bf16') + columns * dtypeSize('bf16');
    const written = rows * columns * (dtypeSize('bf16') + dtypeSize(out));
    return {
      row: { op: `rms_norm_${out}`, rows, columns },
      ...{ flops: 0, bytes: read + written, footprint: read + rows * columns * dtypeSize(out) },
      ...{ rows, columns, out },
    };
  },

  suite: () => [{}, { rows: 1 }, { rows: 32, columns: 7168 }, { dtype: 'e4m3' }],

  async prepare(device, { rows, columns, out }, copies) {
    const next = uniform(9);
    const own = new Resources();
    try {
      const sets = Array.from({ length: copies }, () => {
        const filled = (shape: number[]) => {
          const tensor = own.add(device.empty(shape, 'bf16'));
          fillNormal(tensor, next);
          return tensor;
        };
        const x = filled([rows, columns]);
        const residual = filled([rows, columns]);
        const weight = filled([columns]);
        const result = rmsNorm({ x, residual, weight, eps, dtype: out });
        own.add(result.out);
        if (result.scales) own.add(result.scales);
        return { x, residual, weight, eps, ...result };
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) rmsNorm(set);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  machineCode: ['norm'],
  operation: rmsNormOperation,
  call(device: Device, { rows, columns, out }) {
    rmsNorm({
      x: device.empty([rows, columns], 'bf16'),
      residual: device.empty([rows, columns], 'bf16'),
      weight: device.empty([columns], 'bf16'),
      ...{ eps, dtype: out },
    });
  },
});
