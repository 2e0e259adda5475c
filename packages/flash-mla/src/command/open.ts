import { BackendUnavailableError } from '@flash-mla/core';
import type { Command } from 'commander';
import { openDevice } from '../open-device.ts';
import type { Device } from '../runtime/device/device.ts';
import type { CommandContext } from './context.ts';
import { unsupportedNode } from './doctor/node-version.ts';
import { nodeEngines } from './machine.ts';
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

/**
 * Opens the device that the options name and closes it when the command ends, however it ends. Where
 * that fails on a Node that is too old, this is the reason.
 */
export async function openFor(flags: DeviceFlags, context: CommandContext): Promise<Device> {
  const device = await openDevice(flags.device, { threads: flags.threads }).catch(
    (error: unknown) => {
      const old = unsupportedNode(process.versions.node, nodeEngines());
      if (old === undefined || !(error instanceof BackendUnavailableError)) throw error;
      const reason = `not with Node ${old.found}: flash-mla needs ${old.required} or later`;
      throw new BackendUnavailableError(error.backend, reason, [], old.remedy, error);
    },
  );
  context.onExit(() => device.dispose());
  return device;
}
