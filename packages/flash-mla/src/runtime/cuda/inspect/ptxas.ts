import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KernelCompileError } from '@flash-mla/core';

/** What NVIDIA's assembler says of a kernel. */
export interface AssemblyReport {
  readonly registers: number;
  readonly spillBytes: number;
  readonly stackBytes: number;
}

/**
 * Assembles PTX with `ptxas`; undefined where it is not on the PATH.
 * @throws {KernelCompileError} with the assembler's log.
 */
export function assemble(name: string, ptx: string, target: string): AssemblyReport | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'flash-mla-ptxas-'));
  try {
    const file = join(directory, 'kernel.ptx');
    writeFileSync(file, ptx);
    const args = ['-v', `-arch=${target}`, file, '-o', join(directory, 'kernel.cubin')];
    const { status, stdout, stderr, error } = spawnSync('ptxas', args, { encoding: 'utf8' });
    if (error) return undefined;
    const log = stdout + stderr;
    if (status !== 0) throw new KernelCompileError(name, log);
    const number = (pattern: RegExp): number => Number(pattern.exec(log)?.[1] ?? 0);
    return {
      registers: number(/Used (\d+) registers/),
      spillBytes: number(/(\d+) bytes spill stores/) + number(/(\d+) bytes spill loads/),
      stackBytes: number(/(\d+) bytes stack frame/),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
