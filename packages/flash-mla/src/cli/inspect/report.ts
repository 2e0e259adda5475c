import type { Counters } from '@flash-mla/ptx';
import type { Inspection, LaunchInspection } from '../../backends/cuda/inspect/inspect.ts';
import type { AssemblyReport } from '../../backends/cuda/inspect/ptxas.ts';
import type { Colors } from '../terminal/colors.ts';

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
  { bold, dim }: Colors,
): string {
  const shared = Math.floor(gpu.maxSharedPerBlock / 1024);
  const lines = [
    `${bold(operation)} by kernel family ${bold(family)}`,
    `${dim('gpu')}        ${gpu.name}, ${gpu.smCount} multiprocessors, ${shared} KiB of shared memory a CTA`,
    `${dim('problem')}    ${plain(problem)}`,
    `${dim('workspace')}  ${workspaceBytes} bytes`,
  ];
  for (const launch of launches) lines.push('', ...launchLines(launch, { bold, dim }));
  return `${lines.join('\n')}\n`;
}

function launchLines(
  launch: InspectedLaunch,
  { bold, dim }: Pick<Colors, 'bold' | 'dim'>,
): string[] {
  const { role, kernel, target, config, grid, block, cluster, overlap, sharedBytes } = launch;
  const { assembly, counters } = launch;
  const extras = [
    ...(cluster ? [`clusters of ${cluster.join('×')}`] : []),
    ...(overlap ? ['overlaps the launch ahead'] : []),
  ];
  const lines = [
    `${bold(role)}  ${kernel}, ${target}`,
    `  ${dim('config')}     ${plain(config)}`,
    `  ${dim('launch')}     grid ${grid.join('×')}, block ${block.join('×')}${extras.map((e) => `, ${e}`).join('')}`,
    `  ${dim('assembly')}   ${assembly ? assemblyText(assembly) : 'ptxas is not on the PATH'}`,
    `  ${dim('shared')}     ${sharedBytes} bytes`,
  ];
  const width = Math.max(0, ...launch.shared.map(({ name }) => name.length));
  for (const { name, offset, bytes, element, shape } of launch.shared) {
    lines.push(
      `    ${String(offset).padStart(6)}  ${String(bytes).padStart(6)} B  ${name.padEnd(width)}  ${element} [${shape.join(', ')}]`,
    );
  }
  if (counters) lines.push(...counterLines(counters, dim));
  return lines;
}

function counterLines(counters: Counters, dim: Colors['dim']): string[] {
  const number = (value: number) => value.toLocaleString('en');
  const { byKind, sharedPasses, sharedConflicts } = counters;
  const kinds = Object.entries(byKind).sort(([, a], [, b]) => b - a);
  return [
    `  ${dim('executed')}   ${number(counters.warpInstructions)} warp instructions: ${kinds.map(([kind, n]) => `${kind} ${number(n)}`).join(', ')}`,
    `  ${dim('global')}     ${number(counters.globalLoadBytes)} bytes loaded, ${number(counters.globalStoreBytes)} stored, ${number(counters.globalSectors)} sectors, ${number(counters.atomicOperations)} atomics`,
    `  ${dim('banks')}      ${number(counters.sharedLoadBytes)} bytes loaded, ${number(counters.sharedStoreBytes)} stored, ${number(sharedPasses)} passes, ${number(sharedConflicts)} of them conflicts`,
  ];
}

function assemblyText({ registers, spillBytes, stackBytes }: AssemblyReport): string {
  return `${registers} registers, ${spillBytes} bytes spilled, ${stackBytes} bytes of stack`;
}

/** `name value` pairs; nested data as JSON. */
function plain(data: object): string {
  return Object.entries(data)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(', ');
}
