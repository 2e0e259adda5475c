import type { Counters } from '@flash-mla/ptx';
import type { Inspection, LaunchInspection } from '../../runtime/cuda/inspect/inspect.ts';
import type { AssemblyReport } from '../../runtime/cuda/inspect/ptxas.ts';
import type { CommandContext } from '../context.ts';
import { hanging, unbroken } from '../terminal/wrap.ts';

/** A launch with what the assembler says of it, where it is installed. */
export interface InspectedLaunch extends LaunchInspection {
  readonly assembly: AssemblyReport | undefined;
  /** What it does in the simulator, where asked for. */
  readonly counters: Counters | undefined;
}

/** The report as text. */
export function inspectionText(
  { operation, family, gpu, problem, workspaceBytes }: Inspection,
  launches: readonly InspectedLaunch[],
  context: Pick<CommandContext, 'colors' | 'width'>,
): string {
  const { bold } = context.colors;
  const labelled = labels(context);
  const shared = Math.floor(gpu.maxSharedPerBlock / 1024);
  const lines = [
    `${bold(operation)} by kernel family ${bold(family)}`,
    labelled(
      'gpu',
      `${gpu.name}, ${gpu.smCount} multiprocessors, ${shared} KiB of shared memory a CTA`,
    ),
    labelled('problem', plain(problem)),
    labelled('workspace', `${workspaceBytes} bytes`),
  ];
  for (const launch of launches) lines.push('', ...launchLines(launch, context));
  return `${lines.join('\n')}\n`;
}

function launchLines(
  launch: InspectedLaunch,
  context: Pick<CommandContext, 'colors' | 'width'>,
): string[] {
  const labelled = labels(context, '  ');
  const { role, kernel, target, config, grid, block, cluster, overlap, sharedBytes } = launch;
  const { assembly, counters } = launch;
  const extras = [
    ...(cluster ? [`clusters of ${cluster.join('×')}`] : []),
    ...(overlap ? ['overlaps the launch ahead'] : []),
  ];
  const lines = [
    `${context.colors.bold(role)}  ${kernel}, ${target}`,
    labelled('config', plain(config)),
    labelled(
      'launch',
      [`grid ${grid.join('×')}`, `block ${block.join('×')}`, ...extras].join(', '),
    ),
    labelled('assembly', assembly ? assemblyText(assembly) : 'ptxas is not on the PATH'),
    labelled('shared', `${sharedBytes} bytes`),
  ];
  const width = Math.max(0, ...launch.shared.map(({ name }) => name.length));
  for (const { name, offset, bytes, element, shape } of launch.shared) {
    lines.push(
      `    ${String(offset).padStart(6)}  ${String(bytes).padStart(6)} B  ${name.padEnd(width)}  ${element} [${shape.join(', ')}]`,
    );
  }
  if (counters) lines.push(...counterLines(counters, labelled));
  return lines;
}

function counterLines(counters: Counters, labelled: ReturnType<typeof labels>): string[] {
  const number = (value: number) => value.toLocaleString('en');
  const { byKind, sharedPasses, sharedConflicts } = counters;
  const kinds = Object.entries(byKind).sort(([, a], [, b]) => b - a);
  return [
    labelled(
      'executed',
      `${number(counters.warpInstructions)} warp instructions: ${kinds.map(([kind, n]) => `${kind} ${number(n)}`).join(', ')}`,
    ),
    labelled(
      'global',
      `${number(counters.globalLoadBytes)} bytes loaded, ${number(counters.globalStoreBytes)} stored, ${number(counters.globalSectors)} sectors, ${number(counters.atomicOperations)} atomics`,
    ),
    labelled(
      'banks',
      `${number(counters.sharedLoadBytes)} bytes loaded, ${number(counters.sharedStoreBytes)} stored, ${number(sharedPasses)} passes, ${number(sharedConflicts)} of them conflicts`,
    ),
  ];
}

function assemblyText({ registers, spillBytes, stackBytes }: AssemblyReport): string {
  return `${registers} registers, ${spillBytes} bytes spilled, ${stackBytes} bytes of stack`;
}

/** Lines such as `  launch     grid 1×1×1`, which go on under their text where the terminal ends. */
export function labels(
  { colors, width }: Pick<CommandContext, 'colors' | 'width'>,
  indent = '',
): (name: string, text: string) => string {
  return (name, text) =>
    hanging(`${indent}${colors.dim(name)}${' '.repeat(11 - name.length)}`, text, width);
}

/** `name value` pairs; nested data as JSON. */
export function plain(data: object): string {
  return Object.entries(data)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : value])
    .map((pair) => unbroken(pair.join(' ')))
    .join(', ');
}
