// Self-check of faults: a kernel that writes where nothing is loses the device, and nothing more.
import { strict as assert } from 'node:assert';
import { flashMla } from './app.mjs';
import { openDevice } from './check-backend.mjs';
import { prepare, sourceOf } from './kernel.mjs';
import { poke } from './kernels.mjs';

async function faultyKernel({ driver, facts }) {
  const { DeviceLostError } = await flashMla('errors.js');
  const { shareContext } = await flashMla('backends/cuda/device/shared-context.js');
  const device = await openDevice(driver);
  const other = await openDevice(driver);
  const tensor = device.tensor([1, 2, 3], [3], 'f32');
  await tensor.read();

  const { context } = shareContext(driver, 0);
  const source = await sourceOf(poke, `sm_${facts.sm}`);
  const loaded = context.loadKernel(source);
  const stream = context.createStream();
  prepare(context, source, loaded, stream, [1, 1, 1], { target: 4096 }).run();
  // The simulator only notices at a wait; a GPU may notice at any later call.
  const attempt = async () => {
    await device.synchronize();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await tensor.read();
  };
  let lost;
  await assert.rejects(attempt(), (error) => {
    lost = error;
    return error instanceof DeviceLostError;
  });
  await assert.rejects(tensor.read(), DeviceLostError);
  await assert.rejects(other.synchronize(), DeviceLostError);
  assert.throws(() => device.empty([4], 'f32'), DeviceLostError);
  assert.throws(() => tensor.write(new Float32Array(3)), DeviceLostError);
  await device.dispose();
  await other.dispose();

  const again = await openDevice(driver);
  const fresh = again.tensor([4, 5], [2], 'f32');
  assert.deepEqual([...(await fresh.read())], [4, 5]);
  await again.dispose();
  return { error: JSON.stringify(lost.message.slice(0, 140)) };
}

export const faultSteps = [['a faulty kernel, and opening the device again', faultyKernel]];
