import { dtypeSize } from '@flash-mla/core';
import type { Device } from '../../../runtime/device/device.ts';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { defineBench } from '../../bench/define-bench.ts';
import { emptyCache } from '../../bench/empty-cache.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../../bench/operation.ts';
import { distinct, fillNormal, uniform } from '../../bench/random.ts';
import { Resources } from '../../bench/resources.ts';
import { UsageError } from '../../bench/usage-error.ts';
import { appendKvCache } from '../index.ts';
import { appendRows } from '../operations.ts';

export interface AppendBenchProblem extends BenchProblem {
  readonly layout: 'v32' | 'model1' | 'plain';
  /** Of the rows. */
  readonly dtype: 'bf16' | 'f16' | 'e4m3';
  readonly rows: number;
  readonly hKv: number;
  readonly dQk: number;
  readonly blocks: number;
  readonly pageSize: number;
}

const defaults = (scale: Scale) =>
  ({
    ...(scale === 'cpu' ? { b: 16, sK: 512 } : { b: 128, sK: 4096 }),
    ...{ sQ: 1, hKv: 1, dQk: 576, kvLayout: 'bf16', pageSize: 64, dtype: 'bf16' },
  }) satisfies ProblemOptions;

export const append = defineBench<AppendBenchProblem>({
  name: 'append',
  summary: 'appendKvCache of --s-q rows for each of --b requests to caches of --s-k tokens',
  accepts: ['b', 'sQ', 'sK', 'hKv', 'dQk', 'kvLayout', 'pageSize', 'dtype'],

  defaults,
  derived: 'packed layouts have their own --d-qk',

  problem(options: ProblemOptions, scale: Scale): AppendBenchProblem {
    const sizes = { ...defaults(scale), ...options };
    const { b, sQ, hKv, pageSize, sK, kvLayout, dtype } = sizes;
    const isPlain = kvLayout === 'bf16';
    if (!isPlain && (dtype !== 'bf16' || hKv !== 1 || options.dQk !== undefined)) {
      throw new UsageError(
        'Packed rows have one KV head and their own width, and are bf16 before.',
      );
    }
    const dQk = isPlain ? sizes.dQk : packedRows[kvLayout].headDimQk;
    const name = isPlain ? dtype : kvLayout;
    const rows = b * sQ;
    const blocks = b * Math.ceil(Math.max(sK, sQ) / pageSize);
    const rowBytes = hKv * dQk * dtypeSize(dtype);
    const tokenBytes = isPlain ? rowBytes : packedRows[kvLayout].rowBytes;
    return {
      row: { op: `append_${name}`, rows, h_kv: hKv, d_qk: dQk, page_size: pageSize },
      flops: 0,
      bytes: rows * (rowBytes + tokenBytes + 4),
      footprint: rows * (rowBytes + 4) + blocks * pageSize * tokenBytes,
      layout: isPlain ? 'plain' : kvLayout,
      ...{ dtype, rows, hKv, dQk, blocks, pageSize },
    };
  },

  suite: (scale: Scale) =>
    (['v32', 'model1', 'bf16'] as const).flatMap((kvLayout) => [
      { kvLayout },
      { kvLayout, b: 4, sQ: scale === 'cpu' ? 512 : 4096 },
    ]),

  async prepare(device: Device, problem: AppendBenchProblem, copies: number) {
    const { layout, dtype, rows: count, hKv, dQk, blocks, pageSize } = problem;
    const next = uniform(8);
    const own = new Resources();
    try {
      const sets = Array.from({ length: copies }, () => {
        const [width, cacheDtype] =
          layout === 'plain' ? [dQk, dtype] : [packedRows[layout].rowBytes, 'u8' as const];
        const kCache = own.add(device.empty([blocks, pageSize, hKv, width], cacheDtype));
        const rows = own.add(device.empty([count, hKv, dQk], dtype));
        fillNormal(rows, next);
        const places = distinct(count, blocks * pageSize, next).slice(0, count);
        const slots = own.add(device.tensor(places, [count], 'i32'));
        return { kCache: kCache as Tensor<'bf16'>, rows: rows as Tensor<'bf16'>, slots };
      });
      await device.synchronize();
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) appendKvCache(set);
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
  operation: appendRows,

  call(device: Device, problem: AppendBenchProblem): void {
    const { layout, dtype, rows, hKv, dQk, blocks, pageSize } = problem;
    appendKvCache({
      kCache:
        layout === 'plain'
          ? device.empty([blocks, pageSize, hKv, dQk], dtype as 'bf16')
          : (emptyCache(device, layout, blocks, pageSize, dQk) as never),
      rows: device.empty([rows, hKv, dQk], dtype as 'bf16'),
      slots: device.empty([rows], 'i32'),
    });
  },
});
