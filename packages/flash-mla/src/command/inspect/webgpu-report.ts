import type { Inspection, LaunchInspection } from '../../runtime/webgpu/inspect/inspect.ts';
import type { CommandContext } from '../context.ts';
import { labels, plain } from './report.ts';

/** The report as text. */
export function webgpuReport(
  { operation, adapter, capabilities, scratchBytes, launches }: Inspection,
  context: Pick<CommandContext, 'colors' | 'width'>,
): string {
  const labelled = labels(context);
  const { workgroupBytes, bindingBytes, storageBuffers, quads, halfSubnormals, tuning } =
    capabilities;
  const lines = [
    `${context.colors.bold(operation)} through WebGPU`,
    labelled(
      'adapter',
      `${adapter}: ${workgroupBytes} bytes of workgroup memory, ${storageBuffers} storage bindings of ${bindingBytes} bytes, ${quads ? 'quad operations' : 'no subgroups'}, ${halfSubnormals ? 'subnormal halves' : 'no subnormal halves'}`,
    ),
    labelled('tuning', tuning.reason),
    labelled('workspace', `${scratchBytes} bytes`),
  ];
  for (const launch of launches) lines.push('', ...launchLines(launch, context));
  return `${lines.join('\n')}\n`;
}

function launchLines(
  launch: LaunchInspection,
  context: Pick<CommandContext, 'colors' | 'width'>,
): string[] {
  const { bold, dim } = context.colors;
  const labelled = labels(context, '  ');
  const { kernel, config, workgroups, workgroupSize, workgroupBytes, workgroup, bindings } = launch;
  const width = Math.max(...[...workgroup, ...bindings].map(({ name }) => name.length));
  const bytes = (count: number) => `${count} B`.padStart(14);
  return [
    bold(kernel),
    labelled('config', plain(config)),
    labelled('launch', `${workgroups.join('×')} workgroups of ${workgroupSize} invocations`),
    labelled('params', plain(launch.params)),
    `  ${dim('bindings')}`,
    ...bindings.map(
      ({ binding, name, access, element, bytes: size }) =>
        `    ${String(binding).padStart(2)}  ${name.padEnd(width)} ${bytes(size)}  ${element}, ${access}`,
    ),
    labelled('workgroup', `${workgroupBytes} bytes`),
    ...workgroup.map(
      ({ name, type, bytes: size }) => `        ${name.padEnd(width)} ${bytes(size)}  ${type}`,
    ),
  ];
}
