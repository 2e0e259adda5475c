import type { Command } from 'commander';
import type { Device } from '../device.ts';
import { openDevice } from '../open-device.ts';
import type { CommandContext } from './context.ts';
import { integer } from './option-values.ts';

/** Options of every command that uses a device. */
export interface DeviceFlags {
  readonly device: string;
  readonly threads?: number;
}

export function addDeviceOptions(command: Command): Command {
  return command
    .option('--device <device>', 'auto, cpu, cuda, cuda:N, webgpu or sim', 'auto')
    .option('--threads <n>', 'cpu: worker threads (default: one per core)', integer(1, 64));
}

/** Opens the device that the options name and closes it when the command ends, however it ends. */
export async function openFor(flags: DeviceFlags, context: CommandContext): Promise<Device> {
  const device = await openDevice(flags.device, { threads: flags.threads });
  context.onExit(() => device.dispose());
  return device;
}
