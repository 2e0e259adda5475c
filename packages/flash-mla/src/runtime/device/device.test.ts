import { DisposedError, InvalidArgumentError } from '@flash-mla/core';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type RecordingBackend,
  recordingDevice,
} from '../../ops/attention/api/testing/recording-backend.ts';
import type { Device } from './device.ts';

let device: Device;
let backend: RecordingBackend;

beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

describe('emptyStrided', () => {
  it('makes room for the padding behind every block, the last too', () => {
    const cache = device.emptyStrided([3, 5, 1, 584], [3456, 584, 584, 1], 'u8');
    expect(cache.buffer.byteLength).toBe(3 * 3456);
    expect(cache.strides).toEqual([3456, 584, 584, 1]);
  });

  it('allocates nothing for strides that do not fit', () => {
    const bad: unknown[] = [[1], [1, -1], [1.5, 1], 'ab', undefined, [2 ** 53 - 1, 2 ** 53 - 1]];
    for (const strides of bad) {
      expect(() => device.emptyStrided([2, 3], strides as never, 'f32')).toThrow(/^strides: /);
    }
    expect(backend.live.size).toBe(0);
  });

  it('takes shapes of no elements', () => {
    expect(device.emptyStrided([0, 3], [3, 1], 'f32').size).toBe(0);
    expect(device.emptyStrided([], [], 'f32').size).toBe(1);
  });
});

describe('capture', () => {
  it('gives a graph that replays until it or the device is disposed of', async () => {
    const replay = vi.fn();
    const dispose = vi.fn();
    backend.capture = (enqueue) => {
      enqueue();
      return { replay, dispose };
    };
    const graph = device.capture(() => {});
    graph.replay();
    graph.replay();
    graph.dispose();
    graph[Symbol.dispose]();
    expect([replay.mock.calls.length, dispose.mock.calls.length]).toEqual([2, 1]);
    expect(() => graph.replay()).toThrow(DisposedError);
    const late = device.capture(() => {});
    await device.dispose();
    expect(() => late.replay()).toThrow(DisposedError);
    late.dispose();
    expect(dispose).toHaveBeenCalledTimes(1);
  });

  it('refuses what it cannot record, and works again afterwards', () => {
    expect(() => device.capture(undefined as never)).toThrow(InvalidArgumentError);
    expect(() => device.capture(async () => {})).toThrow(/async/);
    expect(() => device.capture(() => void device.capture(() => {}))).toThrow(/inside a capture/);
    expect(() =>
      device.capture(() => {
        throw new RangeError('mine');
      }),
    ).toThrow('mine');
    device.capture(() => {}).replay();
  });

  it('begins and ends an epoch', () => {
    const before = device.epoch;
    let during = before;
    device.capture(() => {
      during = device.epoch;
    });
    expect(new Set([before, during, device.epoch]).size).toBe(3);
  });
});

describe('dispose', () => {
  it('resolves each time only when the device has stopped', async () => {
    let stop = () => {};
    backend.close = () =>
      new Promise((resolve) => {
        stop = resolve;
      });
    const done: number[] = [];
    const disposals = [0, 1].map((i) => device.dispose().then(() => done.push(i)));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(done).toEqual([]);
    stop();
    await Promise.all(disposals);
    expect(done).toEqual([0, 1]);
  });

  it('closes the backend once and refuses everything after', async () => {
    const close = vi.spyOn(backend, 'close');
    await device.dispose();
    await device[Symbol.asyncDispose]();
    expect(close).toHaveBeenCalledTimes(1);
    expect(device.closed).toBe(true);
    expect(() => device.synchronize()).toThrow(DisposedError);
    expect(() => device.memoryStats()).toThrow(DisposedError);
    expect(() => device.capture(() => {})).toThrow(DisposedError);
  });
});
