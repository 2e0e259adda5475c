import { BackendUnavailableError } from '@flash-mla/core';
import type { Command } from 'commander';
import { type DeviceListing, listDevices } from '../../runtime/device/open-device.ts';
import type { CommandContext } from '../context.ts';
import { inspectMaca, isRelevant } from '../doctor/maca.ts';
import { type UnsupportedNode, unsupportedNode } from '../doctor/node-version.ts';
import { doctorText } from '../doctor/report.ts';
import { setVariables } from '../doctor/variables.ts';
import { exitCodes } from '../errors.ts';
import { jsonText } from '../json.ts';
import { machineFacts, nodeEngines } from '../machine.ts';
import { addNotes } from '../terminal/help.ts';

export function define(command: Command): void {
  command.option('--json', 'print JSON only');
  addNotes(command, [
    'Lists every backend: what was looked for, what was found, and the remedy. Exits 0: an absent ' +
      'backend is a finding, not a failure.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const { json } = command.opts<{ json?: boolean }>();
  const machine = machineFacts();
  const unsupported = unsupportedNode(process.versions.node, nodeEngines());
  const listed = await listDevices();
  const devices = unsupported ? listed.map((each) => onOldNode(each, unsupported)) : listed;
  const variables = setVariables(process.env);
  const maca = inspectMaca();
  if (json) {
    const found = { machine, unsupportedNode: unsupported, devices: devices.map(deviceJson) };
    context.write(jsonText({ ...found, variables, maca }));
    return exitCodes.ok;
  }
  const shown = { machine, unsupported, devices, variables };
  context.write(doctorText({ ...shown, maca: isRelevant(maca) ? maca : undefined }, context));
  return exitCodes.ok;
}

/** What a probe finds there is not what opening the device would. */
function onOldNode(device: DeviceListing, { found, required, remedy }: UnsupportedNode) {
  if (!device.available) return device;
  const { id, backend } = device;
  const reason = `not with Node ${found}: flash-mla needs ${required} or later`;
  const error = new BackendUnavailableError(backend, reason, [], remedy);
  return { available: false, id, backend, error } as const;
}

/** An error is no plain object: JSON gets the fields that a reader may act on. */
function deviceJson(device: DeviceListing): Record<string, unknown> {
  if (device.available) return { ...device };
  const { message, looked, remedy } = device.error;
  return { available: false, id: device.id, backend: device.backend, message, looked, remedy };
}
