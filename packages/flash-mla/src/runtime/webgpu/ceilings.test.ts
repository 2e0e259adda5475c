import { describe, expect, it } from 'vitest';
import { openDevice } from '../../index.ts';
import { softwareProbe } from './ceilings.ts';
import { probeKernel } from './kernels/probes.ts';
import { openAdjusted } from './testing/open.ts';
import { useSwiftShader } from './testing/swiftshader.ts';

const absent = useSwiftShader();
const why = absent ? `, skipped: ${absent}` : '';

describe.skipIf(absent)(`ceilings of a WebGPU device${why}`, () => {
  it.each(['adapter', 'default'] as const)(
    'are measured in half a second with the %s profile, anew each time',
    async (webgpuProfile) => {
      const device = await openDevice('webgpu', { webgpuProfile });
      const { measurements } = device.backend;
      expect(measurements?.deviceTime === undefined).toBe(webgpuProfile === 'default');
      const started = performance.now();
      const first = await measurements?.ceilings?.();
      expect(performance.now() - started).toBeLessThan(2000); // On an idle machine 0.5 s.
      // What any processor of this century does, and none that SwiftShader runs on.
      expect(first?.flopsPerSecond).toBeGreaterThan(1e8);
      expect(first?.flopsPerSecond).toBeLessThan(1e14);
      for (const rate of [first?.readBytesPerSecond, first?.copyBytesPerSecond]) {
        expect(rate).toBeGreaterThan(1e7);
        expect(rate).toBeLessThan(1e13);
      }
      expect(first?.flopsOf).toMatch(/^f32 multiply-add on registers, \d+ workgroups of 256$/);
      // A benchmark compares what it measured before and after.
      const second = await measurements?.ceilings?.();
      expect(second?.flopsPerSecond).toBeGreaterThan(1e8);
      expect(second?.flopsPerSecond).not.toBe(first?.flopsPerSecond);
      expect(device.memoryStats()).toMatchObject({ allocated: 0 });
      await device.dispose();
    },
  );

  it('reject once the device is closed', async () => {
    const { device, backend } = await openAdjusted((capabilities) => capabilities);
    await device.dispose();
    await expect(backend.measurements.ceilings?.()).rejects.toThrow(/disposed/);
  });
});

describe('the probes', () => {
  it('read every vector of the buffer once, in whole rounds of a workgroup', () => {
    const vectors = softwareProbe.memoryBytes / 16;
    expect(vectors % (4 * softwareProbe.workgroups * 256)).toBe(0);
    expect(probeKernel('read').wgsl).toContain('at += 1024u');
  });
});
