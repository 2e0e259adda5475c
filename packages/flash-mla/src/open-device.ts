import { flashMlaKernels } from './ops/kernel-libraries.ts';
import type { Device, DeviceOptions, DeviceSpec } from './runtime/device/device.ts';
import { openDeviceWith } from './runtime/device/open-device.ts';

/**
 * Opens a device with the kernels of this library. `'auto'` takes the first that opens and keeps why the
 * others did not in {@link Device.skipped}. Throws {@link InvalidArgumentError} for an unknown spec and
 * {@link BackendUnavailableError} when the device is not there.
 */
export function openDevice(
  spec: DeviceSpec | (string & {}) = 'auto',
  options: DeviceOptions = {},
): Promise<Device> {
  return openDeviceWith([flashMlaKernels], spec, options);
}
