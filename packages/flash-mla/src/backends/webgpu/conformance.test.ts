import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bundledCaseNames,
  bundledCaseUrl,
  describeComparison,
  loadCase,
  runCase,
  runConformance,
  selectCases,
} from '../../cases/index.ts';
import { type Device, openDevice } from '../../index.ts';
import { gpuTuning } from './runtime/limits.ts';
import { openAdjusted } from './testing/open.ts';
import { useSwiftShader } from './testing/swiftshader.ts';

const absent = useSwiftShader();

/**
 * The kernels that a GPU gets, as far as SwiftShader's 32 KiB of workgroup memory go; not unrolled, as
 * in variants.test.ts, to save time.
 */
const asGpu = () =>
  openAdjusted((capabilities) => ({
    ...capabilities,
    tuning: { ...gpuTuning, unroll: 1, unrollWords: false, workgroups: 64 },
  })).then(({ device }) => device);

describe.skipIf(absent).each([
  ['with the features and limits of a GPU', asGpu],
  ['with default limits and no feature', () => openDevice('webgpu', { webgpuProfile: 'default' })],
])(`WebGPU on SwiftShader %s${absent ? `, skipped: ${absent}` : ''}`, (_, open) => {
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.dispose());

  it.each(selectCases().map(({ name }) => name))('%s', async (name) => {
    const results = [];
    for await (const result of runConformance(device, { filter: name })) results.push(result);
    const result = results.find((each) => each.name === name);
    expect(result?.message).toBe('');
    expect(result?.status).toBe('passed');
  });

  it.each(
    bundledCaseNames.flatMap((name) => [
      [name, {}] as const,
      [name, { gap: 1 }] as const,
      [name, { metadata: 'tensors', graph: true }] as const,
    ]),
  )('%s %j meets the float32 answer and that of the H200', async (name, options) => {
    const report = await runCase(device, await loadCase(bundledCaseUrl(name)), options);
    expect(report.comparisons.filter(({ pass }) => !pass).map(describeComparison)).toEqual([]);
    expect(report.comparisons.length).toBeGreaterThanOrEqual(4);
  });
});
