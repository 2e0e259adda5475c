import { DeviceLostError, OutOfMemoryError } from '@flash-mla/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { Device } from '../device/device.ts';
import { defineOperation } from '../operation/operation.ts';
import type { TensorView } from '../tensor/view.ts';
import { type Call, defineCudaKernel } from './kernel.ts';
import { openCuda } from './open.ts';
import { FakeDriver, fakeFacts } from './testing/fake-driver.ts';
import { fakeFamilies } from './testing/fake-family.ts';

let driver: FakeDriver;
let device: Device;

interface ProbeArgs {
  readonly out: TensorView;
  seen(call: Call): void;
}

const probe = defineOperation<ProbeArgs>({
  name: 'probe',
  reads: () => [],
  writes: ({ out }) => [out],
});

/** Shows what calls are given; launches nothing. */
const probeKernel = defineCudaKernel({
  operation: probe,
  problemOf: () => ({}),
  keyOf: () => ({}),
  plan: () => ({ launches: {}, workspaceBytes: 0 }),
  bind: () => (args: ProbeArgs, _, call) => args.seen(call),
});

const calls = (name: string) => driver.calls.filter((call) => call === name).length;
const context = () => driver.contexts[0] as NonNullable<(typeof driver.contexts)[0]>;

beforeEach(async () => {
  driver = new FakeDriver();
  const families = fakeFamilies([probeKernel]);
  device = new Device(
    await openCuda(driver, 0, { debug: false, exactMemory: false, families }),
    false,
    [],
  );
});

/** What a call on the stream of the moment gets. */
function given(): { stream: number; scratch: number; counters: number } {
  let seen = { stream: 0, scratch: 0, counters: 0 };
  const out = device.empty([1], 'u8');
  device.run(probe, {
    out,
    seen: (call) => {
      seen = { stream: call.stream, scratch: call.workspace(5000), counters: call.counters(4) };
    },
  });
  out.dispose();
  return seen;
}

describe('streams of the driver', () => {
  it('have handles, scratch and counters of their own, and keep them', () => {
    const alone = given();
    const side = device.createStream();
    const other = device.createStream();
    const first = [given(), device.withStream(side, given), device.withStream(other, given)];
    expect(new Set(first.map(({ stream }) => stream)).size).toBe(3);
    expect(new Set(first.map(({ scratch }) => scratch)).size).toBe(3);
    expect(new Set(first.map(({ counters }) => counters)).size).toBe(3);
    expect(first[0]).toMatchObject({ stream: alone.stream, counters: alone.counters });
    const again = [given(), device.withStream(side, given), device.withStream(other, given)];
    expect(again).toEqual(first);
  });

  it('begin after the work of the default stream', () => {
    driver.automatic = false;
    const before = calls('recordEvent');
    device.createStream();
    expect(calls('recordEvent')).toBe(before + 1);
    expect(context().waits).toHaveLength(1);
  });

  it('wait for events that are pending, and need not for those that are done', () => {
    const side = device.createStream();
    driver.automatic = false;
    const event = device.defaultStream.record();
    expect(event.isDone()).toBe(false);
    const before = context().waits.length;
    side.wait(event);
    expect(context().waits).toHaveLength(before + 1);
    driver.advance();
    expect(event.isDone()).toBe(true);
    side.wait(event);
    expect(context().waits).toHaveLength(before + 1);
  });

  it('go back to the driver once their work is done', async () => {
    const side = device.createStream();
    const tensor = device.tensor([1, 2], [2], 'f32');
    driver.automatic = false;
    const read = tensor.read({ stream: side });
    side.dispose();
    device.empty([1], 'u8');
    const destroyed = calls('destroyStream');
    driver.advance();
    // The bytes are still to be taken from page-locked memory of the stream.
    device.empty([1], 'u8');
    expect(calls('destroyStream')).toBe(destroyed);
    expect([...(await read)]).toEqual([1, 2]);
    device.empty([1], 'u8');
    expect(calls('destroyStream')).toBe(destroyed + 1);
    driver.automatic = true;
    await device.dispose();
    expect(calls('createStream')).toBe(calls('destroyStream'));
    expect(calls('createEvent')).toBe(calls('destroyEvent'));
    expect([context().memory.blocks.size, context().pinnedBlocks]).toEqual([0, 0]);
  });

  it('of a lost device are lost', async () => {
    const side = device.createStream();
    driver.automatic = false;
    const waiting = [side.synchronize(), side.record().synchronize()];
    driver.fail('queryEvent', 700, 'CUDA_ERROR_ILLEGAL_ADDRESS', 9);
    for (const wait of waiting) await expect(wait).rejects.toThrow(DeviceLostError);
    expect(() => side.record()).toThrow(DeviceLostError);
    expect(() => device.createStream()).toThrow(DeviceLostError);
    side.dispose();
    await device.dispose();
  });

  it('are polled by others without those who wait being forgotten', async () => {
    driver.automatic = false;
    const event = device.defaultStream.record();
    const waiting = event.synchronize();
    await new Promise((resolve) => setTimeout(resolve, 5));
    driver.advance();
    expect(event.isDone()).toBe(true);
    await waiting;
  });
});

describe('memory with several streams', () => {
  const addressOf = (tensor: { buffer: object }) => (tensor.buffer as { address: number }).address;

  it('is handed out again once all streams are done with it', () => {
    const side = device.createStream();
    driver.automatic = false;
    const first = device.empty([1000], 'u8');
    const address = addressOf(first);
    first.dispose();
    expect(addressOf(device.empty([1000], 'u8'))).not.toBe(address);
    expect(device.memoryStats().allocated).toBe(1000);
    driver.advance();
    expect(addressOf(device.empty([1000], 'u8'))).toBe(address);
    side.dispose();
  });

  it('is handed out at once again when the other streams are gone', () => {
    const side = device.createStream();
    side.dispose();
    device.empty([1], 'u8');
    driver.automatic = false;
    const first = device.empty([1000], 'u8');
    const address = addressOf(first);
    first.dispose();
    expect(addressOf(device.empty([1000], 'u8'))).toBe(address);
  });

  it('is waited for before there is none', () => {
    driver.facts = { ...fakeFacts, memoryBytes: 50 * 2 ** 20 };
    device.createStream();
    driver.automatic = false;
    const first = device.empty([40 * 2 ** 20], 'u8');
    first.dispose();
    const second = device.empty([40 * 2 ** 20], 'u8');
    expect(() => device.empty([40 * 2 ** 20], 'u8')).toThrow(OutOfMemoryError);
    second.dispose();
  });

  it('of a graph is kept from others until its replays are done', () => {
    const side = device.createStream();
    let inside = 0;
    const graph = device.capture(() => {
      inside = given().scratch;
    });
    driver.automatic = false;
    graph.replay({ stream: side });
    graph.dispose();
    const taken = () => device.withStream(side, () => addressOf(device.empty([5000], 'u8')));
    expect(taken()).not.toBe(inside);
    driver.advance();
    expect([taken(), taken()]).toContain(inside);
  });
});

describe('a capture of several streams', () => {
  it('keeps scratch and counters of each apart, and from those outside', () => {
    const side = device.createStream();
    const outside = [given(), device.withStream(side, given)];
    let inside: ReturnType<typeof given>[] = [];
    const graph = device.capture(() => {
      side.wait(device.defaultStream.record());
      inside = [given(), device.withStream(side, given)];
      device.defaultStream.wait(side.record());
    });
    const all = [...outside, ...inside];
    expect(new Set(all.map(({ scratch }) => scratch)).size).toBe(4);
    expect(new Set(all.map(({ counters }) => counters)).size).toBe(4);
    graph.dispose();
    device.empty([1], 'u8');
    // Counters are all zero again, so that the next graph has them.
    const later = device.capture(() => {
      inside.push(given());
    });
    expect(all.slice(2).map(({ counters }) => counters)).toContain(inside[2]?.counters);
    later.dispose();
  });

  it('joins what was left apart, so that the driver ends it', () => {
    const side = device.createStream();
    const before = context().waits.length;
    const leave = () =>
      device.capture(() => {
        side.wait(device.defaultStream.record());
        device.withStream(side, given);
      });
    expect(leave).toThrow(/leaves work of 'stream 1' unordered/);
    expect(context().waits).toHaveLength(before + 2);
    expect([calls('endCapture'), calls('destroyGraph')]).toEqual([1, 1]);
    device.capture(() => {}).replay();
  });

  it('repeats writes of a stream that is gone', async () => {
    const side = device.createStream();
    const tensor = device.empty([2], 'f32');
    const graph = device.capture(() => {
      side.wait(device.defaultStream.record());
      tensor.write(Float32Array.of(3, 4), { stream: side });
      device.defaultStream.wait(side.record());
    });
    side.dispose();
    device.empty([1], 'u8');
    graph.replay();
    expect([...(await tensor.read())]).toEqual([3, 4]);
  });
});
