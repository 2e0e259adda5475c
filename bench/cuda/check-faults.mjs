// Self-check of faults: a kernel that goes wrong loses the device, and nothing more.
import { strict as assert } from 'node:assert';
import { flashMla } from './app.mjs';
import { openDevice } from './check-backend.mjs';
import { prepare, sourceOf } from './kernel.mjs';
import { poke, trap } from './kernels.mjs';

/** Runs a kernel that must fault, on a stream of its own, beside two devices of the public API. */
function faultyKernel(kernel, values) {
  return async ({ driver, facts }) => {
    const { DeviceLostError } = await flashMla('errors.js');
    const { shareContext } = await flashMla('backends/cuda/device/shared-context.js');
    const { Timeline } = await flashMla('backends/cuda/stream/timeline.js');
    const device = await openDevice(driver);
    const other = await openDevice(driver);
    const tensor = device.tensor([1, 2, 3], [3], 'f32');
    await tensor.read();

    const { context } = shareContext(driver, 0);
    const source = await sourceOf(kernel, `sm_${facts.sm}`);
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

    const again = await openDevice(driver);
    const fresh = again.tensor([4, 5], [2], 'f32');
    assert.deepEqual([...(await fresh.read())], [4, 5]);
    await again.dispose();
    return { 'noticed ms': noticed.toFixed(0), error: JSON.stringify(lost.message.slice(0, 140)) };
  };
}

export const faultSteps = [
  // Address 16: no allocation ever lies in the first page.
  ['a kernel that stores to nowhere, and opening again', faultyKernel(poke, { target: 16 })],
  ['a kernel that traps, and opening again', faultyKernel(trap, {})],
];
