import type { DeviceInfo } from '../../../runtime/device/backend.ts';
import type { Device } from '../../../runtime/device/device.ts';
import type { ExecuteOptions, Execution } from './execute.ts';

/** One case of the conformance suite. */
export interface ConformanceCase {
  /** Unique; says all parameters. */
  readonly name: string;
  readonly op: string;
  /** Part of `quick` as well as of `full`. */
  readonly quick: boolean;
  /** Millions of floating-point operations, tiles of 64 counted in full. */
  readonly cost: number;
  /** Kinds of devices that have no kernel for it, with the reason. */
  readonly excluded?: Readonly<Partial<Record<DeviceInfo['backend'], string>>>;
  /** Generates the problem, runs it on a device and compares with the reference. */
  execute(device: Device, options: ExecuteOptions): Promise<Execution>;
}
