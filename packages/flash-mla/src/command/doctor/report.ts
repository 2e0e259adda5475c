import { byteSize } from '../../ops/bench/numbers.ts';
import type { DeviceListing } from '../../runtime/device/open-device.ts';
import type { CommandContext } from '../context.ts';
import type { MachineFacts } from '../machine.ts';
import { printable } from '../terminal/printable.ts';
import { hanging } from '../terminal/wrap.ts';
import type { MacaReport } from './maca.ts';
import type { UnsupportedNode } from './node-version.ts';
import type { SetVariable } from './variables.ts';

/** What `doctor` found. */
export interface Findings {
  readonly machine: MachineFacts;
  readonly unsupported: UnsupportedNode | undefined;
  readonly devices: readonly DeviceListing[];
  readonly variables: readonly SetVariable[];
  /** Undefined: of no interest here. */
  readonly maca: MacaReport | undefined;
}

type Style = Pick<CommandContext, 'colors' | 'width'>;

/** The findings as text. */
export function doctorText(findings: Findings, style: Style): string {
  const { machine, unsupported, devices, variables, maca } = findings;
  return [
    ...machineLines(machine, unsupported, style),
    ...variableLines(variables, style),
    '',
    ...devices.flatMap((device) => deviceLines(device, style)),
    ...(maca === undefined ? [] : macaLines(maca, style)),
    '',
  ].join('\n');
}

function machineLines(
  machine: MachineFacts,
  unsupported: UnsupportedNode | undefined,
  { colors: { bold, dim, yellow }, width }: Style,
): string[] {
  const cache = machine.cacheBytes === undefined ? '' : `, cache ${byteSize(machine.cacheBytes)}`;
  const node = `${machine.node} (V8 ${machine.v8})`;
  return [
    bold('machine'),
    `  ${dim('node')}    ${unsupported ? `${yellow('✗')} ` : ''}${node}`,
    ...(unsupported === undefined
      ? []
      : [
          hanging('          ', `flash-mla needs Node ${unsupported.required} or later.`, width),
          hanging(`          ${dim('remedy:')} `, unsupported.remedy, width),
        ]),
    `  ${dim('system')}  ${machine.system} ${machine.architecture}`,
    `  ${dim('cpu')}     ${machine.cpu}, ${machine.cores} threads${cache}`,
    `  ${dim('memory')}  ${byteSize(machine.memoryBytes)}`,
  ];
}

function variableLines(
  variables: readonly SetVariable[],
  { colors: { bold, dim, yellow }, width }: Style,
): string[] {
  if (variables.length === 0) return [];
  const lines = variables.map(({ name, value, valid, meaning }) => {
    const text = `${printable(`${name}=${value}`)}: ${meaning}`;
    return hanging(`  ${valid ? dim('·') : yellow('✗')} `, text, width);
  });
  return [bold('environment'), ...lines];
}

function deviceLines(
  device: DeviceListing,
  { colors: { bold, dim, green, yellow }, width }: Style,
): string[] {
  if (device.available) {
    const facts = Object.entries(device.details).map(([name, value]) =>
      hanging(`    ${dim(`${name}:`)} `, printable(String(value)), width),
    );
    return [`${green('✓')} ${bold(device.id)}  ${printable(device.name)}`, ...facts];
  }
  const { looked, remedy, reason } = device.error;
  return [
    hanging(`${yellow('✗')} ${bold(device.id)}  `, printable(reason), width),
    ...looked.map((place) => hanging(`    ${dim('looked for:')} `, printable(place), width)),
    ...(remedy === '' ? [] : [hanging(`    ${dim('remedy:')} `, printable(remedy), width)]),
  ];
}

function macaLines(
  { found, looked, version, advice }: MacaReport,
  { colors: { bold, dim, green }, width }: Style,
): string[] {
  const title = found ? `MetaX MACA ${version ?? 'of unknown version'}` : 'no MetaX MACA';
  return [
    `${found ? green('✓') : dim('·')} ${bold('maca')}  ${printable(title)}, the software of MetaX GPUs`,
    ...looked.map(({ path, what, found: isThere }) => {
      const text = `${path} (${what}): ${isThere ? 'found' : 'not there'}`;
      return hanging(`    ${dim('looked for:')} `, printable(text), width);
    }),
    hanging(`    ${dim('what to use:')} `, printable(advice), width),
  ];
}
