import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Device,
  DeviceLostError,
  openDevice,
  rmsNorm,
  type Stream,
  type Tensor,
} from '../../index.ts';

let device: Device;
let side: Stream;
let x: Tensor<'f32'>;
let weight: Tensor<'f32'>;

const row = () => new Float32Array(64).fill(3);
const norm = () => rmsNorm({ x, weight, eps: 1e-6, dtype: 'f32' }).out;

beforeEach(async () => {
  device = await openDevice('sim');
  x = device.tensor(row(), [1, 64], 'f32');
  weight = device.tensor(row(), [64], 'f32');
  side = device.createStream({ name: 'side' });
});
afterEach(() => device.dispose());

/** What the device is lost for. */
async function lossOf(): Promise<string> {
  const error: unknown = await device.synchronize().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DeviceLostError);
  return (error as Error).message;
}

describe('a simulated GPU reports', () => {
  it('a kernel that reads what another stream writes, and names both', async () => {
    x.write(row());
    device.withStream(side, norm);
    const message = await lossOf();
    expect(message).toMatch(
      /race between streams: kernel \w*rms_norm \(call \d+, side\) reads byte 0 of the 256 bytes/,
    );
    expect(message).toMatch(/which a copy to the device \(call \d+, default stream\) writes/);
    expect(message).toMatch(/no event orders the two\. Let the later stream wait\(\)/);
  });

  it('a write of what a kernel on another stream reads', async () => {
    device.withStream(side, norm);
    x.write(row());
    expect(await lossOf()).toMatch(
      /a copy to the device \(call \d+, default.*writes.*rms_norm.*reads/,
    );
  });

  it('two kernels on two streams', async () => {
    const out = device.empty([1, 64], 'f32');
    side.wait(device.defaultStream.record());
    const write = () => rmsNorm({ x, weight, eps: 1e-6, dtype: 'f32', out });
    write();
    device.withStream(side, write);
    expect(await lossOf()).toMatch(
      /rms_norm \(call \d+, side\) writes.*rms_norm \(call \d+, default/,
    );
  });

  it('an event that was recorded too early', async () => {
    const early = side.record();
    x.write(row(), { stream: side });
    device.defaultStream.wait(early);
    norm();
    expect(await lossOf()).toMatch(/rms_norm.*reads.*a copy to the device \(call \d+, side\)/);
  });

  it('branches of a graph that no event orders', async () => {
    const graph = device.capture(() => {
      side.wait(device.defaultStream.record());
      x.write(row());
      device.withStream(side, norm);
      device.defaultStream.wait(side.record());
    });
    graph.replay();
    expect(await lossOf()).toMatch(/rms_norm \(call \d+, a branch of a graph\) reads.*a copy to/);
  });

  it('a graph that runs beside what it uses', async () => {
    const graph = device.capture(() => void norm());
    graph.replay({ stream: side });
    x.write(row());
    expect(await lossOf()).toMatch(
      /a copy to the device.*writes.*rms_norm \(call \d+, side\) reads/,
    );
  });
});

describe('pinned memory of a simulated GPU', () => {
  it('is read and written by kernels where it is', async () => {
    const pinned = device.pinned(256);
    new Float32Array(pinned.bytes.buffer, pinned.bytes.byteOffset, 64).set(row());
    const host = device.tensorOn(pinned, [1, 64], 'f32');
    rmsNorm({ x: host, weight, eps: 1e-6, dtype: 'f32', out: x });
    expect((await x.read())[63]).toBeCloseTo(3, 4);
    rmsNorm({ x, weight, eps: 1e-6, dtype: 'f32', out: host });
    await device.synchronize();
    const [first] = new Float32Array(pinned.bytes.buffer, pinned.bytes.byteOffset, 1);
    expect(first).toBeCloseTo(3, 4);
    expect((await host.read())[63]).toBeCloseTo(3, 4);
    pinned.dispose();
    await device.synchronize();
  });

  it('is watched like any other', async () => {
    const pinned = device.pinned(256);
    const host = device.tensorOn(pinned, [1, 64], 'f32');
    device.copy(pinned, device.empty([64], 'f32'), { stream: side });
    rmsNorm({ x, weight, eps: 1e-6, dtype: 'f32', out: host });
    expect(await lossOf()).toMatch(
      /rms_norm.*writes.*which a copy to the device \(call \d+, side\) reads/,
    );
  });
});

describe('a simulated GPU lets pass', () => {
  it('what events order, also by way of a third stream', async () => {
    const third = device.createStream();
    x.write(row());
    third.wait(device.defaultStream.record());
    side.wait(third.record());
    const out = device.withStream(side, norm);
    expect((await out.read({ stream: side }))[0]).toBeCloseTo(3, 4);
    // The host has waited for the side stream.
    x.write(row());
    out.write(row());
    await device.synchronize();
  });

  it('reads of one tensor and writes of its halves', async () => {
    const [first, second] = [x.slice(1, 0, 31), x.slice(1, 31, 64)];
    norm();
    device.withStream(side, norm);
    await device.synchronize();
    first.write(row().subarray(0, 31));
    second.write(row().subarray(31), { stream: side });
    await device.synchronize();
    const bytes = device.tensor(new Uint8Array(16), [16], 'u8');
    await device.synchronize();
    bytes.slice(0, 0, 7).write(new Uint8Array(7));
    bytes.slice(0, 7, 16).write(new Uint8Array(9), { stream: side });
    await device.synchronize();
  });

  it('memory that changes hands, and scratch and counters of each stream', async () => {
    for (let step = 0; step < 12; step++) {
      norm().dispose();
      const other = device.withStream(side, norm);
      other.write(row(), { stream: side });
      other.dispose();
    }
    await device.synchronize();
    side.dispose();
    for (let step = 0; step < 3; step++) norm().dispose();
    await device.synchronize();
  });

  it('replays of one graph on several streams, and branches that events order', async () => {
    const out = device.empty([1, 64], 'f32');
    const graph = device.capture(() => {
      x.write(row());
      side.wait(device.defaultStream.record());
      device.withStream(side, () => rmsNorm({ x, weight, eps: 1e-6, dtype: 'f32', out }));
      device.defaultStream.wait(side.record());
    });
    graph.replay();
    graph.replay({ stream: side });
    graph.replay();
    expect((await out.read())[0]).toBeCloseTo(3, 4);
    graph.dispose();
  });
});
