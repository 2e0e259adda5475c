import { defineKernel, global, type TensorMapDescription, tensorMap } from '@flash-mla/ptx';
import { describe, expect, it } from 'vitest';
import type { PreparedRun } from '../driver/driver.ts';
import { preparedLaunch } from './prepared.ts';

const params = { x: global('f32'), map: tensorMap('bf16'), n: 'u32' } as const;
const kernel = defineKernel({ name: 'with_map', params, block: [32] }, () => {});
const shape = { element: 'bf16', dims: [64, 128], strides: [128], box: [64, 64] } as const;

/** A launch whose maps are filled with the number of their encoding. */
function prepared() {
  const parameters = new DataView(new ArrayBuffer(kernel.program('sm_90a').paramBytes));
  const encoded: TensorMapDescription[] = [];
  const encode = (map: TensorMapDescription) => new Uint8Array(128).fill(encoded.push(map));
  const run: PreparedRun = { parameters, run: () => {} };
  const launch = preparedLaunch<typeof params>(kernel.paramSlots, run, encode);
  const bytes = () => [0, 63, 64, 191, 192].map((offset) => parameters.getUint8(offset));
  return { launch, encoded, bytes };
}

describe('a tensor map in a parameter block', () => {
  it('lies at a multiple of 64 bytes', () => {
    const { launch, bytes } = prepared();
    launch.set.map({ ...shape, address: 4096 });
    expect(bytes()).toEqual([0, 0, 1, 1, 0]);
  });

  it('is encoded once per address, and anew for another shape', () => {
    const { launch, encoded, bytes } = prepared();
    const set = launch.set.map;
    const dims = [64, 128];
    for (const address of [4096, 8192, 4096, 8192]) set({ ...shape, dims, address });
    expect(encoded).toHaveLength(2);
    expect(bytes()[2]).toBe(2);
    dims[1] = 256;
    set({ ...shape, dims, address: 8192 });
    expect(encoded).toHaveLength(3);
    set({ ...shape, dims, address: 8192, swizzle: '128B' });
    expect(encoded).toHaveLength(4);
    expect(bytes()[2]).toBe(4);
  });
});
