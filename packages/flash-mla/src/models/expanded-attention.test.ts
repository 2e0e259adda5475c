import type { AttentionCall } from '@flash-mla/models';
import { expect, it } from 'vitest';
import { openDevice } from '../open-device.ts';
import { fillNormal, uniform } from '../ops/bench/random.ts';
import { AbsorbedAttention } from './absorbed-attention.ts';
import type { DeviceMatrix } from './device-operations.ts';
import { ExpandedAttention } from './expanded-attention.ts';
import { StepTensors } from './step-tensors.ts';

const pageSize = 64;
const [numHeads, kvLoraRank, nopeDim, ropeDim, vDim] = [2, 64, 32, 16, 24];
const columns = kvLoraRank + ropeDim;

it('gives what the absorbed form gives, behind cached tokens and for rows that are apart', async () => {
  await using device = await openDevice('sim');
  const step = new StepTensors(device);
  const next = uniform(3);
  const normal = (...shape: number[]): DeviceMatrix => {
    const matrix = device.empty(shape, 'bf16');
    fillNormal(matrix, next);
    return matrix;
  };
  // The last row is another sequence's, which is not attended to here.
  const sequences = [
    { pages: [3, 1], start: 70, count: 9, row: 0 },
    { pages: [2], start: 0, count: 5, row: 9 },
    { pages: [0], start: 20, count: 3, row: 15 },
  ];
  const rows = 18;
  const headDim = nopeDim + ropeDim;
  const projected = normal(rows, numHeads * headDim + columns);
  const rotated = normal(rows, numHeads, columns);
  const call = {
    ...{ queries: projected.slice(1, 0, numHeads * headDim), rotated, sequences },
    ...{ keyValue: normal(numHeads * (nopeDim + vDim), kvLoraRank) },
    cache: normal(4 * pageSize, columns),
    config: { numHeads, kvLoraRank, nopeDim, ropeDim, vDim, softmaxScale: 0.05 },
  };
  const attend = async (attention: AbsorbedAttention | ExpandedAttention) => {
    const out = device.tensor(
      new Float32Array(rows * numHeads * vDim),
      [rows, numHeads * vDim],
      'bf16',
    );
    return step.scope(async () => {
      attention.run({ ...call, out } as unknown as AttentionCall<DeviceMatrix>);
      return out.readFloat32();
    });
  };
  const expected = await attend(new AbsorbedAttention(step, pageSize));
  const expanded = new ExpandedAttention(step, pageSize);
  expect(expanded.takes(call as unknown as AttentionCall<DeviceMatrix>)).toBe(true);
  const actual = await attend(expanded);
  const norm = (values: Float32Array) => Math.hypot(...values);
  expect(norm(expected)).toBeGreaterThan(10);
  expect(norm(actual.map((value, i) => value - (expected[i] as number)))).toBeLessThan(
    0.02 * norm(expected),
  );
});
