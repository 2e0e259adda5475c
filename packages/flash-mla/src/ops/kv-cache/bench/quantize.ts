import type { Device } from '../../../runtime/device/device.ts';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { defineBench } from '../../bench/define-bench.ts';
import { emptyCache } from '../../bench/empty-cache.ts';
import type { BenchProblem, InspectLine, ProblemOptions, Scale } from '../../bench/operation.ts';
import { fillNormal, uniform } from '../../bench/random.ts';
import { Resources } from '../../bench/resources.ts';
import { UsageError } from '../../bench/usage-error.ts';
import { dequantizeKvCache, quantizeKvCache } from '../index.ts';
import { dequantizeRows, quantizeRows } from '../operations.ts';

export interface QuantizeProblem extends BenchProblem {
  readonly layout: 'v32' | 'model1';
  readonly blocks: number;
  readonly pageSize: number;
}

const defaults = (scale: Scale) =>
  ({
    ...{ sK: scale === 'cpu' ? 16384 : 262144, kvLayout: 'v32', pageSize: 64 },
  }) satisfies ProblemOptions;

export const quantize = defineBench<QuantizeProblem>({
  name: 'quantize',
  summary: 'quantizeKvCache of --s-k tokens',
  accepts: ['sK', 'kvLayout', 'pageSize'],

  defaults,

  problem(options: ProblemOptions, scale: Scale): QuantizeProblem {
    const { sK, kvLayout: layout, pageSize } = { ...defaults(scale), ...options };
    if (layout === 'bf16') throw new UsageError('--kv-layout of quantize is v32 or model1.');
    const blocks = Math.ceil(sK / pageSize);
    const { rowBytes, headDimQk } = packedRows[layout];
    const bytes = blocks * pageSize * (2 * headDimQk + rowBytes);
    return {
      row: { op: `quantize_${layout}`, tokens: blocks * pageSize, page_size: pageSize },
      flops: 0,
      bytes,
      footprint: bytes,
      layout,
      blocks,
      pageSize,
    };
  },

  suite: () => [{ kvLayout: 'v32' }, { kvLayout: 'model1' }],

  async prepare(device: Device, problem: QuantizeProblem, copies: number) {
    const { layout, blocks, pageSize } = problem;
    const next = uniform(6);
    const own = new Resources();
    try {
      const sets = Array.from({ length: copies }, () => {
        const shape = [blocks, pageSize, 1, packedRows[layout].headDimQk];
        const kCache = own.add(device.empty(shape, 'bf16'));
        fillNormal(kCache, next);
        // The first call makes the packed cache that the measured ones write to again.
        return { kCache, layout, out: own.add(quantizeKvCache({ kCache, layout })) };
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) quantizeKvCache(set);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  machineCode: ['pack'],
  operation: quantizeRows,

  call(device: Device, problem: QuantizeProblem): void {
    const { layout, blocks, pageSize } = problem;
    const shape = [blocks, pageSize, 1, packedRows[layout].headDimQk];
    quantizeKvCache({ kCache: device.empty(shape, 'bf16'), layout });
  },
});

/** The way back, of which there is no benchmark. */
export const dequantize: InspectLine = {
  name: 'dequantize',
  bench: quantize,
  operation: dequantizeRows,
  machineCode: ['dequantize'],
  call(device, problem) {
    const { layout, blocks, pageSize } = problem as QuantizeProblem;
    const { headDimQk } = packedRows[layout];
    const kCache = emptyCache(device, layout, blocks, pageSize, headDimQk);
    dequantizeKvCache({ kCache: kCache as Tensor<'u8'>, layout });
  },
};
