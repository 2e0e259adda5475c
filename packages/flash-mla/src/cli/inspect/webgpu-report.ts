import type { Inspection, LaunchInspection } from '../../backends/webgpu/inspect/inspect.ts';
import type { Colors } from '../terminal/colors.ts';

/** The report as text. */
export function webgpuReport(
  { operation, adapter, capabilities, scratchBytes, launches }: Inspection,
  colors: Colors,
): string {
  const { bold, dim } = colors;
  const { workgroupBytes, bindingBytes, storageBuffers, quads, halfSubnormals, tuning } =
    capabilities;
  const lines = [
    `${bold(operation)} through WebGPU`,
    `${dim('adapter')}    ${adapter}: ${workgroupBytes} bytes of workgroup memory, ${storageBuffers} storage bindings of ${bindingBytes} bytes, ${quads ? 'quad operations' : 'no subgroups'}, ${halfSubnormals ? 'subnormal halves' : 'no subnormal halves'}`,
    `${dim('tuning')}     ${tuning.reason}`,
    `${dim('workspace')}  ${scratchBytes} bytes`,
  ];
  for (const launch of launches) lines.push('', ...launchLines(launch, colors));
  return `${lines.join('\n')}\n`;
}

function launchLines(launch: LaunchInspection, { bold, dim }: Colors): string[] {
  const { kernel, config, workgroups, workgroupSize, workgroupBytes, workgroup, bindings } = launch;
  const width = Math.max(...[...workgroup, ...bindings].map(({ name }) => name.length));
  const bytes = (count: number) => `${count} B`.padStart(14);
  return [
    bold(kernel),
    `  ${dim('config')}     ${JSON.stringify(config)}`,
    `  ${dim('launch')}     ${workgroups.join('×')} workgroups of ${workgroupSize} invocations`,
    `  ${dim('params')}     ${Object.entries(launch.params)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
    `  ${dim('bindings')}`,
    ...bindings.map(
      ({ binding, name, access, element, bytes: size }) =>
        `    ${String(binding).padStart(2)}  ${name.padEnd(width)} ${bytes(size)}  ${element}, ${access}`,
    ),
    `  ${dim('workgroup')}  ${workgroupBytes} bytes`,
    ...workgroup.map(
      ({ name, type, bytes: size }) => `        ${name.padEnd(width)} ${bytes(size)}  ${type}`,
    ),
  ];
}
