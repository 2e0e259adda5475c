import { BackendUnavailableError } from '@flash-mla/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openDevice } from '../../../open-device.ts';
import { openCpu } from '../../../ops/attention/cpu/testing/problems.ts';
import { conformanceCases, runConformance } from '../../../ops/cases.ts';
import type { Device } from '../../device/device.ts';
import { findNative } from './index.ts';
import { rowsBf16Features } from './kernels/features.ts';
import { kernelKinds } from './selection.ts';
import { emulatedAmx } from './testing/emulated-amx.ts';
import { runs } from './testing/machine.ts';

const best = await findNative('any');
const reasonOf = (kind: string) => best.passedOver.find((each) => each.kind === kind)?.reason;

afterEach(() => vi.unstubAllEnvs());

async function openWith(kind: string): Promise<Device> {
  vi.stubEnv('FLASH_MLA_CPU', kind);
  return openDevice('cpu', { threads: 2 });
}

describe('FLASH_MLA_CPU', () => {
  it.each(kernelKinds)('%s: runs these kernels, or says why it does not', async (kind) => {
    const reason = reasonOf(kind) ?? (best.kind === 'wasm' && kind !== 'wasm');
    if (reason) {
      await expect(openWith(kind)).rejects.toThrow(BackendUnavailableError);
      return;
    }
    const device = await openWith(kind);
    expect(device.info.details.kernels).toBe(kind);
    await device.dispose();
  });

  it('names nothing else', async () => {
    await expect(openWith('sse')).rejects.toThrow(
      /FLASH_MLA_CPU is 'sse'.*Set FLASH_MLA_CPU to one of amx, avx512, avx2, wasm/,
    );
  });
});

it('a private memory is for WebAssembly alone', async () => {
  const device = await openCpu({ sharedMemory: false });
  expect(device.info.details.kernels).toBe('wasm');
  await device.dispose();
});

// What runs by default on this machine is held to the suite in suite.test.ts.
const others = kernelKinds.filter((kind) => kind !== best.kind && reasonOf(kind) === undefined);
describe.each(others)('the quick suite with %s', (kind) => {
  it('passes', async () => {
    await expectQuickSuite(await openWith(kind));
  });
});

it.skipIf(best.kind !== 'avx512' || !runs(rowsBf16Features))(
  'the quick suite passes with the kernels for AMX, tiles in memory',
  async () => {
    await expectQuickSuite(await openCpu({ threads: 1, native: emulatedAmx(best) }));
  },
);

async function expectQuickSuite(device: Device): Promise<void> {
  const failed: string[] = [];
  let passed = 0;
  for await (const { name, status, message } of runConformance(device, {})) {
    if (status === 'failed') failed.push(`${name}: ${message}`);
    else passed++;
  }
  expect(failed).toEqual([]);
  expect(passed).toBe(conformanceCases().filter(({ quick }) => quick).length);
  await device.dispose();
}
