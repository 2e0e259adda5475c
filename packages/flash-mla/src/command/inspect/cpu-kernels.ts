import { type Feature, listing, type Program } from '@flash-mla/machine-code';
import type { OperationBench } from '../../ops/bench/operation.ts';
import { type KernelNames, kernelNames } from '../../runtime/cpu/native/kernel-names.ts';
import { programOf } from '../../runtime/cpu/native/programs.ts';
import type { NativeKind } from '../../runtime/cpu/native/selection.ts';
import type { CommandContext } from '../context.ts';
import { labels } from './report.ts';

/** When each kernel is taken. */
const uses: Readonly<Record<keyof KernelNames, string>> = {
  rows: 'bf16 tokens in place, where products of bf16 pairs are faster (AMX, AMD) and head dimensions are multiples of 32',
  attend: 'a block of decoded tokens and 5 query rows or more that share it',
  unpack: 'packed rows whose scales are powers of two, before tokens are attended to in place',
  copy: 'memory of the process that WebAssembly does not reach',
  products:
    'rows and weights of bf16, a depth that is a multiple of 32, weights of 16 rows or more that are not transposed (AMX)',
  dots: 'a depth that is a multiple of 16, weights of bf16 or f32 that are not transposed',
  pack: 'rows of bf16 that become packed rows: quantizeKvCache, appendKvCache',
  dequantize: 'packed rows that become bf16: dequantizeKvCache',
  norm: 'rows of a multiple of 32 columns',
  scaledDots: 'a depth that is a multiple of 32, weights of e4m3 with their scales',
};

/** A kernel of the processor. */
export interface CpuKernelReport {
  readonly role: keyof KernelNames;
  readonly kernel: string;
  readonly use: string;
  readonly features: readonly Feature[];
  readonly codeBytes: number;
  readonly constantBytes: number;
  readonly instructions: number;
}

/** The machine code of an operation for a kind of processor; none: WebAssembly does all of it. */
export function cpuKernels(
  { machineCode = [] }: Pick<OperationBench, 'machineCode'>,
  kind: NativeKind,
): Map<CpuKernelReport, Program> {
  const names = kernelNames({ kind, bf16Products: kind !== 'avx2' });
  const found = new Map<CpuKernelReport, Program>();
  for (const role of machineCode) {
    const name = role === 'rows' ? names.rows?.name : names[role];
    if (name === undefined) continue;
    const program = programOf(name, 'system-v');
    const { features, codeBytes, bytes, lines } = program;
    const instructions = lines.filter((line) => line.kind === 'instruction').length;
    const constantBytes = bytes.length - codeBytes;
    const report = { role, kernel: name, use: uses[role], features, codeBytes, constantBytes };
    found.set({ ...report, instructions }, program);
  }
  return found;
}

/** The first kernel's code for people. */
export function cpuListing(kernels: ReadonlyMap<CpuKernelReport, Program>): string {
  const [first] = kernels.values();
  return first ? `${listing(first)}\n` : '';
}

/** The report as text. */
export function cpuReport(
  operation: string,
  kind: NativeKind,
  kernels: Iterable<CpuKernelReport>,
  context: Pick<CommandContext, 'colors' | 'width'>,
): string {
  const { bold } = context.colors;
  const labelled = labels(context, '  ');
  const lines = [`${bold(operation)} by kernels for ${bold(kind)}`];
  for (const each of kernels) {
    lines.push(
      '',
      `${bold(each.role)}  ${each.kernel}`,
      labelled('for', each.use),
      labelled('needs', each.features.join(', ')),
      labelled(
        'code',
        `${each.codeBytes} bytes, ${each.instructions} instructions; constants ${each.constantBytes} bytes`,
      ),
    );
  }
  if (lines.length === 1) lines.push(labelled('code', 'none: WebAssembly does all of it'));
  return `${lines.join('\n')}\n`;
}
