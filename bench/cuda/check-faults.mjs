// Self-check of faults: a kernel that goes wrong loses the device, and nothing more. CUDA may refuse the
// GPU to a process in which a kernel has faulted, so that each fault happens in a process of its own:
//   node bench/cuda/check-faults.mjs cuda|sim store|trap      prints its findings as JSON
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { flashMla, openDriver } from './app.mjs';
import { openDevice } from './check-backend.mjs';
import { prepare, sourceOf } from './kernel.mjs';
import { poke, trap } from './kernels.mjs';

const faults = {
  // Address 16: no allocation ever lies in the first page.
  store: { kernel: poke, values: { target: 16 } },
  trap: { kernel: trap, values: {} },
};

/** Runs a kernel that must fault, on a stream of its own, beside two devices of the public API. */
async function provoke(driver, { kernel, values }) {
  const { DeviceLostError } = await flashMla('errors.js');
  const { shareContext } = await flashMla('runtime/cuda/device/shared-context.js');
  const { Timeline } = await flashMla('runtime/cuda/stream/timeline.js');
  const device = await openDevice(driver);
  const other = await openDevice(driver);
  const tensor = device.tensor([1, 2, 3], [3], 'f32');
  await tensor.read();

  const { context } = shareContext(driver, 0);
  const source = await sourceOf(kernel, `sm_${driver.deviceFacts(0).sm}`);
  const stream = context.createStream();
  const timeline = new Timeline(context, stream);
  const began = performance.now();
  prepare(context, source, context.loadKernel(source), stream, [1, 1, 1], values).run();
  // Only the kernel's own stream tells for certain that it has run: recovering from a fault takes
  // the driver many milliseconds, in which other streams still work.
  let lost;
  await assert.rejects(timeline.wait(timeline.mark()), (error) => {
    lost = error;
    return error instanceof DeviceLostError;
  });
  const noticed = performance.now() - began;
  await assert.rejects(tensor.read(), DeviceLostError);
  await assert.rejects(device.synchronize(), DeviceLostError);
  await assert.rejects(other.synchronize(), DeviceLostError);
  assert.throws(() => device.empty([4], 'f32'), DeviceLostError);
  assert.throws(() => tensor.write(new Float32Array(3)), DeviceLostError);
  await device.dispose();
  await other.dispose();
  return {
    'noticed ms': noticed.toFixed(0),
    'opening again': await openAgain(driver),
    error: JSON.stringify(lost.message.slice(0, 140)),
  };
}

/** Opening again must work, or say that a new process is needed. */
async function openAgain(driver) {
  const { BackendUnavailableError, DeviceLostError } = await flashMla('errors.js');
  try {
    const device = await openDevice(driver);
    const fresh = device.tensor([4, 5], [2], 'f32');
    assert.deepEqual([...(await fresh.read())], [4, 5]);
    await device.dispose();
    return 'works in the same process';
  } catch (error) {
    const refused = error instanceof BackendUnavailableError || error instanceof DeviceLostError;
    if (!refused || !/new process/.test(error.message)) throw error;
    return `needs a new process (${error.name})`;
  }
}

/** A step that provokes a fault in a child process. */
function inChild(fault) {
  return ({ driver }) => {
    const script = fileURLToPath(import.meta.url);
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      [script, driver.kind, fault],
      { encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL' },
    );
    assert.equal(status, 0, `the child process ended with ${signal ?? status}: ${stderr}`);
    return JSON.parse(stdout);
  };
}

export const faultSteps = [
  ['a kernel that stores to nowhere, and opening again', inChild('store')],
  ['a kernel that traps, and opening again', inChild('trap')],
];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [device, fault] = process.argv.slice(2);
  const findings = await provoke(await openDriver(device), faults[fault]);
  console.log(JSON.stringify(findings));
  // Ends at once: what the driver still holds of a lost context is beyond giving back.
  process.exit(0);
}
