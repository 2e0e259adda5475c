import { InvalidArgumentError } from '@flash-mla/core';
import type { ModuleOperations } from '@flash-mla/models';
import { openDevice } from '../open-device.ts';
import { checkCacheDType } from './cache-dtype.ts';
import { type DeviceMatrix, DeviceOperations } from './device-operations.ts';

/**
 * Opens a device and makes the operations of models on it, in bf16: for a server, which computes in a thread
 * of its own. Throws what {@link openDevice} throws.
 *
 * @param options `device`: what to open, default `cpu`; `kvCacheDType`: `bf16` (default) or `fp8`
 */
export async function createOperations(options: unknown): Promise<ModuleOperations<DeviceMatrix>> {
  const given = Object(options) as { device?: unknown; kvCacheDType?: unknown };
  const { device: spec = 'cpu' } = given;
  if (typeof spec !== 'string') {
    throw new InvalidArgumentError('options.device', 'the name of a device', typeof spec);
  }
  const kvCacheDType = checkCacheDType('options.kvCacheDType', given.kvCacheDType);
  const device = await openDevice(spec);
  return {
    operations: new DeviceOperations(device, { kvCacheDType }),
    dispose: () => device.dispose(),
  };
}
