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
import { useSwiftShader } from './testing/swiftshader.ts';

const absent = useSwiftShader();

describe.skipIf(absent).each(['adapter', 'default'] as const)(
  `on SwiftShader${absent ? `, skipped: ${absent}` : ''}, profile %s`,
  (webgpuProfile) => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice('webgpu', { webgpuProfile });
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
  },
);
