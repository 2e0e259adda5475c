import type { Command } from 'commander';
import { type DeviceListing, listDevices } from '../../open-device.ts';
import type { CommandContext } from '../context.ts';
import { inspectMaca, type MacaReport } from '../doctor/maca.ts';
import { exitCodes, unavailableReason } from '../errors.ts';
import { type MachineFacts, machineFacts } from '../machine.ts';
import type { Colors } from '../terminal/colors.ts';
import { byteSize } from '../terminal/numbers.ts';

export function define(command: Command): void {
  command
    .option('--json', 'print JSON only')
    .addHelpText(
      'after',
      '\nLists every backend: what was looked for, what was found, and the remedy. Exits 0: an absent\nbackend is a finding, not a failure.',
    );
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const { json } = command.opts<{ json?: boolean }>();
  const machine = machineFacts();
  const devices = await listDevices();
  const maca = inspectMaca();
  if (json) {
    const report = { machine, devices: devices.map(deviceJson), maca };
    context.write(`${JSON.stringify(report, null, 2)}\n`);
    return exitCodes.ok;
  }
  context.write(machineText(machine, context.colors));
  context.write('\n');
  for (const device of devices) context.write(deviceText(device, context.colors));
  context.write(macaText(maca, context.colors));
  return exitCodes.ok;
}

/** An error is no plain object: JSON gets the fields that a reader may act on. */
function deviceJson(device: DeviceListing): Record<string, unknown> {
  if (device.available) return { ...device };
  const { message, looked, remedy } = device.error;
  return { available: false, id: device.id, backend: device.backend, message, looked, remedy };
}

function machineText(machine: MachineFacts, { bold, dim }: Colors): string {
  const cache = machine.cacheBytes === undefined ? '' : `, cache ${byteSize(machine.cacheBytes)}`;
  return [
    bold('machine'),
    `  ${dim('node')}    ${machine.node} (V8 ${machine.v8})`,
    `  ${dim('system')}  ${machine.system} ${machine.architecture}`,
    `  ${dim('cpu')}     ${machine.cpu}, ${machine.cores} threads${cache}`,
    `  ${dim('memory')}  ${byteSize(machine.memoryBytes)}`,
    '',
  ].join('\n');
}

function deviceText(device: DeviceListing, { bold, dim, green, yellow }: Colors): string {
  if (device.available) {
    const facts = Object.entries(device.details).map(
      ([name, value]) => `    ${dim(`${name}:`)} ${value}`,
    );
    return [`${green('✓')} ${bold(device.id)}  ${device.name}`, ...facts, ''].join('\n');
  }
  const { looked, remedy, message } = device.error;
  const lines = [`${yellow('✗')} ${bold(device.id)}  ${unavailableReason(message)}`];
  for (const place of looked) lines.push(`    ${dim('looked for:')} ${place}`);
  if (remedy !== '') lines.push(`    ${dim('remedy:')} ${remedy}`);
  return [...lines, ''].join('\n');
}

function macaText(maca: MacaReport, { bold, dim, green }: Colors): string {
  const { found, looked, version, advice } = maca;
  const title = found ? `MetaX MACA ${version ?? 'of unknown version'}` : 'no MetaX MACA';
  const lines = [`${found ? green('✓') : dim('·')} ${bold('maca')}  ${title}`];
  for (const place of looked) {
    const result = place.found ? 'found' : 'not there';
    lines.push(`    ${dim('looked for:')} ${place.path} (${place.what}): ${result}`);
  }
  lines.push(`    ${dim('what to use:')} ${advice}`);
  return [...lines, ''].join('\n');
}
