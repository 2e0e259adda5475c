import { describe, expect, it } from 'vitest';
import { gpuTuning } from '../../../runtime/webgpu/runtime/tuning.ts';
import { openAdjusted } from '../../../runtime/webgpu/testing/open.ts';
import { useSwiftShader } from '../../../runtime/webgpu/testing/swiftshader.ts';
import { failuresOf } from '../testing/drawn-problems.ts';

const absent = useSwiftShader();

describe.skipIf(absent)(`drawn problems${absent ? `, skipped: ${absent}` : ''}`, () => {
  it('are solved on SwiftShader', { timeout: 600_000 }, async () => {
    // Not unrolled, so that pipelines are made faster: each problem needs others.
    const tuning = { ...gpuTuning, unroll: 1, unrollWords: false, workgroups: 64 } as const;
    const { device } = await openAdjusted((capabilities) => ({ ...capabilities, tuning }));
    try {
      expect(await failuresOf(device, { count: 25, seed: '1', maxCost: 12 })).toEqual([]);
    } finally {
      await device.dispose();
    }
  });
});
