import { array, defineKernel, global } from '@flash-mla/ptx';
import { expect, it } from 'vitest';
import type { Call } from '../kernel.ts';
import { preparedLaunch } from './prepared.ts';

const params = {
  address: global('u32'),
  count: 's32',
  scale: 'f32',
  strides: array('u64', 2),
} as const;
const kernel = defineKernel({ name: 'nothing', params, block: [32] }, () => {});

function prepared() {
  const parameters = new DataView(new ArrayBuffer(32));
  const runs: unknown[] = [];
  const run = { parameters, run: (...launch: unknown[]) => void runs.push(launch) };
  const encode = () => new Uint8Array(128);
  return {
    parameters,
    runs,
    launch: preparedLaunch<typeof params>(kernel.paramSlots, run, encode),
  };
}

it('writes parameters where the kernel reads them', () => {
  const { parameters, launch } = prepared();
  const { set } = launch;
  for (const value of [0, 1, 0xffff_ffff, 2 ** 32, 0x7fff_8000_0200, 2 ** 53 - 1]) {
    set.address(value);
    expect(parameters.getBigUint64(0, true)).toBe(BigInt(value));
  }
  set.address(-5);
  expect(parameters.getBigInt64(0, true)).toBe(-5n);
  set.count(-7);
  set.scale(0.25);
  set.strides([3, 2 ** 40]);
  expect(parameters.getInt32(8, true)).toBe(-7);
  expect(parameters.getFloat32(12, true)).toBe(0.25);
  expect(parameters.getBigUint64(16, true)).toBe(3n);
  expect(parameters.getBigUint64(24, true)).toBe(2n ** 40n);
});

it('launches on the stream of the call, but nothing for a grid without CTAs', () => {
  const { launch, runs } = prepared();
  const call: Call = { stream: 77, workspace: () => 0, counters: () => 0 };
  launch.enqueue(call, [3, 2, 1]);
  launch.enqueue(call, [3, 0, 1]);
  expect(runs).toEqual([[[3, 2, 1], 77]]);
});
