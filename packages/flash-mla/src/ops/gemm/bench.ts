import { dtypeSize } from '@flash-mla/core';
import type { Device } from '../../runtime/device/device.ts';
import { defineBench } from '../bench/define-bench.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../bench/operation.ts';
import { fillNormal, uniform } from '../bench/random.ts';
import { Resources } from '../bench/resources.ts';
import { weightScaleBlock } from './limits.ts';
import { linear } from './linear.ts';
import { gemmOperation } from './operation.ts';

interface LinearBenchProblem extends BenchProblem {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly weight: 'bf16' | 'e4m3';
}

const defaults = (scale: Scale) =>
  ({
    rows: scale === 'cpu' ? 1 : 16,
    columns: 2048,
    depth: 2048,
    dtype: 'bf16',
  }) satisfies ProblemOptions;

/** Empty tensors of a problem. */
function tensorsOf(device: Device, { rows, columns, depth, weight }: LinearBenchProblem) {
  const blocks = [columns, depth].map((n) => Math.ceil(n / weightScaleBlock));
  return {
    x: device.empty([rows, depth], 'bf16'),
    weight: device.empty([columns, depth], weight),
    weightScales: weight === 'e4m3' ? device.empty(blocks, 'f32') : undefined,
    out: device.empty([rows, columns], 'bf16'),
  };
}

export const linearBench = defineBench<LinearBenchProblem>({
  name: 'linear',
  summary: 'linear of --rows bf16 rows to --columns; --dtype is that of the weights',
  accepts: ['rows', 'columns', 'depth', 'dtype'],
  defaults,

  problem(options, scale) {
    const { rows, columns, depth, dtype } = { ...defaults(scale), ...options };
    const weight = dtype === 'e4m3' ? 'e4m3' : 'bf16';
    const bytes = columns * depth * dtypeSize(weight) + 2 * rows * (depth + columns);
    return {
      row: { op: `linear_${weight}`, rows, columns, depth },
      ...{ flops: 2 * rows * columns * depth, bytes, footprint: bytes },
      ...{ rows, columns, depth, weight },
    };
  },

  suite: (scale) =>
    (scale === 'cpu' ? [1, 8, 128] : [1, 16, 128, 4096]).flatMap((rows) => [
      { rows },
      { rows, columns: 3648 },
      { rows, columns: 2048, depth: 2816 },
      { rows, dtype: 'e4m3' as const },
    ]),

  async prepare(device, problem, copies) {
    const next = uniform(10);
    const own = new Resources();
    try {
      const sets = Array.from({ length: copies }, () => {
        const tensors = tensorsOf(device, problem);
        for (const tensor of Object.values(tensors)) {
          if (tensor !== undefined) fillNormal(own.add(tensor), next);
        }
        return tensors;
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) linear(set);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  machineCode: ['products', 'dots', 'scaledDots'],
  operation: gemmOperation,
  call(device: Device, problem) {
    linear(tensorsOf(device, problem));
  },
});
