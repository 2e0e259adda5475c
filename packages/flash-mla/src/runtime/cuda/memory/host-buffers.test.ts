import { DeviceLostError, OutOfMemoryError } from '@flash-mla/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { Device } from '../../device/device.ts';
import { openCuda } from '../open.ts';
import { FakeDriver } from '../testing/fake-driver.ts';
import { fakeFamilies } from '../testing/fake-family.ts';

let driver: FakeDriver;
let device: Device;

beforeEach(async () => {
  driver = new FakeDriver();
  const options = { debug: false, exactMemory: false, families: fakeFamilies() };
  device = new Device(await openCuda(driver, 0, options), false, []);
});

const calls = (name: string) => driver.calls.filter((call) => call === name).length;

describe('pinned buffers on CUDA', () => {
  it('are unlocked once the copies under way are done, though nobody asks', async () => {
    const pinned = device.pinned(8);
    const tensor = device.tensor(new Uint8Array(8).fill(5), [8], 'u8');
    driver.automatic = false;
    device.copy(tensor, pinned);
    const bytes = pinned.bytes;
    pinned.dispose();
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(calls('unlockMemory')).toBe(0);
    driver.advance();
    while (calls('unlockMemory') === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    expect([...bytes]).toEqual(new Array(8).fill(5));
  });

  it('given back within a capture are unlocked after it', async () => {
    const pinned = device.pinned(8);
    const graph = device.capture(() => pinned.dispose());
    while (calls('unlockMemory') === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    graph.dispose();
  });

  it('are unlocked with the device', async () => {
    device.pinned(8);
    device.pinned(8).dispose();
    await device.dispose();
    expect([calls('lockMemory'), calls('unlockMemory')]).toEqual([2, 2]);
  });

  it('keep their bytes when the device is lost, and nothing is done to them', async () => {
    const pinned = device.pinned(4);
    pinned.bytes.set([1, 2, 3, 4]);
    const tensor = device.empty([4], 'u8');
    driver.fail('copyToDevice', 700, 'CUDA_ERROR_ILLEGAL_ADDRESS');
    expect(() => device.copy(pinned, tensor)).toThrow(DeviceLostError);
    expect([...pinned.bytes]).toEqual([1, 2, 3, 4]);
    expect(() => device.copy(pinned, tensor)).toThrow(DeviceLostError);
    expect(() => device.pinned(4)).toThrow(DeviceLostError);
    pinned.dispose();
    await device.dispose();
    expect(calls('unlockMemory')).toBe(0);
  });

  it('that there is no room for are refused with what to do', () => {
    driver.fail('lockMemory', 2, 'CUDA_ERROR_OUT_OF_MEMORY');
    expect(() => device.pinned(100)).toThrow(OutOfMemoryError);
    expect(device.pinned(100).bytes).toHaveLength(100);
  });
});
