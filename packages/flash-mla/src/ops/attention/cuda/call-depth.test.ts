import { expect, it } from 'vitest';
import { openCuda } from '../../../runtime/cuda/open.ts';
import { type FakeCall, FakeDriver } from '../../../runtime/cuda/testing/fake-driver.ts';
import { Device } from '../../../runtime/device/device.ts';
import { flashMlaKernels } from '../../kernel-libraries.ts';
import { flashMlaWithKvCache, getMlaMetadata } from '../index.ts';

/** Keeps the functions that a launch came through, the innermost first. */
class TracingDriver extends FakeDriver {
  launches: string[][] = [];

  override enter(call: FakeCall): void {
    if (call === 'run') {
      const lines = new Error().stack?.split('\n').slice(1) ?? [];
      this.launches.push(lines.filter((line) => /packages\/flash-mla\/src\//.test(line)));
    }
    super.enter(call);
  }
}

// docs/architecture.md says which they are.
it('a decode call passes at most 9 functions between the public function and the driver', async () => {
  const driver = new TracingDriver();
  const families = flashMlaKernels.cuda;
  await using device = new Device(
    await openCuda(driver, 0, { debug: false, exactMemory: false, families }),
    false,
    [],
  );
  const [schedMeta] = getMlaMetadata();
  // Long enough that splits are combined: two launches.
  const problem = {
    q: device.empty([1, 1, 64, 576], 'bf16'),
    kCache: device.empty([64, 64, 1, 576], 'bf16'),
    blockTable: device.empty([1, 64], 'i32'),
    cacheSeqlens: device.empty([1], 'i32'),
    headDimV: 512,
    schedMeta,
  };
  const limit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = 60;
    flashMlaWithKvCache(problem);
    driver.launches = [];
    flashMlaWithKvCache(problem);
  } finally {
    Error.stackTraceLimit = limit;
  }
  expect(driver.launches).toHaveLength(2);
  for (const functions of driver.launches) {
    const top = functions.findIndex((line) => line.includes('flashMlaWithKvCache'));
    const between = functions.slice(0, top).filter((line) => !line.includes('fake-driver.ts'));
    expect(top).toBeGreaterThan(0);
    expect(between.filter((line) => !line.includes('call-depth.test')).length).toBeLessThanOrEqual(
      9,
    );
  }
});
