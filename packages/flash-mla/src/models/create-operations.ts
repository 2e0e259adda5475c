import { InvalidArgumentError } from '@flash-mla/core';
import type { ModuleOperations } from '@flash-mla/models';
import { openDevice } from '../open-device.ts';
import { type DeviceMatrix, DeviceOperations } from './device-operations.ts';

/**
 * Opens a device and makes the operations of models on it, in bf16: for a server, which computes in a thread
 * of its own. Throws what {@link openDevice} throws.
 *
 * @param options `device`: what to open, default `cpu`
 */
export async function createOperations(options: unknown): Promise<ModuleOperations<DeviceMatrix>> {
  const { device: spec = 'cpu' } = Object(options) as { device?: unknown };
  if (typeof spec !== 'string') {
    throw new InvalidArgumentError('options.device', 'the name of a device', typeof spec);
  }
  const device = await openDevice(spec);
  return { operations: new DeviceOperations(device), dispose: () => device.dispose() };
}
