import { defineKernel, global } from '@flash-mla/ptx';
import { expect, it } from 'vitest';
import { preparedLaunch } from './prepared.ts';

const params = { address: global('u32'), count: 's32', scale: 'f32' } as const;
const kernel = defineKernel({ name: 'nothing', params, block: [32] }, () => {});

it('writes parameters where the kernel reads them', () => {
  const parameters = new DataView(new ArrayBuffer(16));
  const launch = preparedLaunch<typeof params>(
    'nothing',
    kernel.paramSlots,
    { parameters, run() {} },
    false,
    () => new Uint8Array(128),
  );
  const address = launch.setter('address');
  for (const value of [0, 1, 0xffff_ffff, 2 ** 32, 0x7fff_8000_0200, 2 ** 53 - 1]) {
    address(value);
    expect(parameters.getBigUint64(0, true)).toBe(BigInt(value));
  }
  address(-5);
  expect(parameters.getBigInt64(0, true)).toBe(-5n);
  launch.setter('count')(-7);
  launch.setter('scale')(0.25);
  expect(parameters.getInt32(8, true)).toBe(-7);
  expect(parameters.getFloat32(12, true)).toBe(0.25);
  expect(() => launch.setter('other' as 'count')).toThrow(/no scalar parameter 'other'/);
});
