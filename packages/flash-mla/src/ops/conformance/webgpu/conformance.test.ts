import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../../index.ts';
import type { Profile } from '../../../runtime/webgpu/adapter.ts';
import { gpuTuning } from '../../../runtime/webgpu/runtime/tuning.ts';
import { openAdjusted } from '../../../runtime/webgpu/testing/open.ts';
import { useSwiftShader } from '../../../runtime/webgpu/testing/swiftshader.ts';
import {
  bundledCaseUrl,
  describeComparison,
  loadCase,
  recordedCaseNames,
  runCase,
  selectCases,
} from '../../cases.ts';
import { resultsOf } from '../testing/results.ts';

const absent = useSwiftShader();

/** The kernels of a GPU, but not unrolled (variants.test.ts has those), to save time. */
const openAsGpu = async (profile: Profile) => {
  const tuning = { ...gpuTuning, unroll: 1, unrollWords: false, workgroups: 64 } as const;
  const { device } = await openAdjusted((capabilities) => ({ ...capabilities, tuning }), profile);
  return device;
};

describe.skipIf(absent).each([
  ['with all limits and features', 'adapter', 1],
  // Every fourth case: they differ by tiles that fit the limits, and each operation has some here.
  ['with default limits and no feature', 'default', 4],
] as const)(
  `WebGPU on SwiftShader %s${absent ? `, skipped: ${absent}` : ''}`,
  (_, profile, share) => {
    let device: Device;
    beforeAll(async () => {
      device = await openAsGpu(profile);
    });
    afterAll(() => device.dispose());

    const cases = selectCases().filter(({ excluded }) => excluded?.webgpu === undefined);
    it.each(cases.filter((_, i) => i % share === 0).map(({ name }) => name))('%s', async (name) => {
      const results = await resultsOf(device, { filter: name });
      const result = results.find((each) => each.name === name);
      expect(result?.message).toBe('');
      expect(result?.status).toBe('passed');
    });

    it.each(
      recordedCaseNames.flatMap((name) => [
        [name, {}] as const,
        [name, { gap: 1 }] as const,
        [name, { metadata: 'tensors', graph: true }] as const,
      ]),
    )('%s %j meets the float32 answer and that of the H200', async (name, options) => {
      const report = await runCase(device, await loadCase(bundledCaseUrl(name)), options);
      expect(report.comparisons.filter(({ pass }) => !pass).map(describeComparison)).toEqual([]);
      expect(report.comparisons.length).toBeGreaterThanOrEqual(4);
    });
  },
);
