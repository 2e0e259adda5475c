import { hostTensor } from '@flash-mla/core';
import type { Device } from '../../../runtime/device/device.ts';
import { compare } from '../../conformance/compare.ts';
import { caseName } from '../../conformance/suite/case-name.ts';
import type { ConformanceCase } from '../../conformance/suite/conformance-case.ts';
import type { Execution } from '../../conformance/suite/execute.ts';
import { Random } from '../../conformance/suite/random.ts';
import { exact } from '../../conformance/tolerance.ts';
import { Uploads } from '../../conformance/upload.ts';
import { getMlaMetadata } from '../api/get-mla-metadata.ts';
import { blocksOfLengths, blocksOfTopk, computeTileSchedule } from '../schedule/tile-scheduler.ts';
import { drawLengths, drawTopkLengths } from './generate/lengths.ts';
import type { ScheduleParams } from './params.ts';

const quick: readonly ScheduleParams[] = [
  { op: 'schedule', kind: 'dense', b: 1, sK: 8192, hQ: 128 },
  { op: 'schedule', kind: 'dense', b: 64, sK: 4096, hQ: 16 },
  { op: 'schedule', kind: 'dense', b: 300, sK: 3000, hQ: 128, deterministic: true },
  { op: 'schedule', kind: 'sparse', b: 74, sK: 2048, hQ: 64 },
  { op: 'schedule', kind: 'sparse', b: 74, sK: 576, extraTopk: 1024, hQ: 64 },
  { op: 'schedule', kind: 'sparse', b: 9, sK: 576, extraTopk: 64, hQ: 128, deterministic: true },
];

/** Cases of the metadata that `getMlaMetadata` computes. */
export const scheduleCases: readonly ConformanceCase[] = quick.map((params) => {
  const name = caseName(params);
  return {
    ...{ name, op: params.op, quick: true, cost: Math.ceil((params.b * 1000) / 1e6) },
    execute: (device) => runSchedule(device, name, params),
  };
});

/**
 * The tile-scheduler metadata that a device computes are those of the pure function for the plan that
 * the device made. `out` stands for the metadata, `lse` for the splits.
 */
async function runSchedule(
  device: Device,
  name: string,
  params: ScheduleParams,
): Promise<Execution> {
  const { kind, b, sK, extraTopk = 0, hQ, deterministic = false } = params;
  const random = new Random(name);
  const uploads = new Uploads(device);
  const i32 = (data: Int32Array) => uploads.put({ dtype: 'i32', shape: [b], data });
  try {
    const lengths = drawLengths({ b, sQ: 1, varlen: true, zeroLengths: undefined }, sK / 2, random);
    for (let i = 0; i < b; i += 7) lengths[i] = 0;
    const topkLength = kind === 'sparse' ? drawTopkLengths(b, sK, random) : undefined;
    const extraTopkLength = extraTopk > 0 ? drawTopkLengths(b, extraTopk, random) : undefined;
    const begin = performance.now();
    const [metadata, numSplits] = getMlaMetadata(
      i32(lengths),
      hQ,
      1,
      hQ,
      kind === 'sparse',
      kind === 'sparse' ? sK : null,
      {
        deterministic,
        ...(topkLength && { topkLength: i32(topkLength) }),
        ...(extraTopkLength && { extraTopk, extraTopkLength: i32(extraTopkLength) }),
      },
    );
    uploads.own(metadata);
    const rows = hostTensor('i32', metadata.shape, await metadata.read());
    const splits = hostTensor('i32', numSplits.shape, await numSplits.read());
    const microseconds = (performance.now() - begin) * 1e3;

    const { plan } = metadata.schedule;
    const blocks =
      kind === 'dense'
        ? blocksOfLengths(lengths, plan.blockTokens)
        : blocksOfTopk(
            { batch: b, topk: sK, topkLength, extraTopk, extraTopkLength },
            plan.blockTokens,
          );
    const expected = computeTileSchedule(blocks, plan);
    const values = (data: Int32Array) => ({ values: Float64Array.from(data) });
    return {
      comparisons: [
        compare('out', 'the tile scheduler', rows, values(expected.metadata), exact),
        compare('lse', 'the tile scheduler', splits, values(expected.numSplits), exact),
      ],
      microseconds,
      problems: [],
    };
  } finally {
    uploads.dispose();
  }
}
