import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The architectures that every kernel is assembled for. */
export const assembledTargets = ['sm_80', 'sm_86', 'sm_89', 'sm_90a', 'sm_100', 'sm_120'] as const;

/** Whether NVIDIA's assembler is on the PATH; tests that need it are skipped elsewhere. */
export const hasPtxas = spawnSync('ptxas', ['--version']).status === 0;

/** What the assembler reported about a module. */
export interface AssemblyReport {
  readonly ok: boolean;
  /** Everything it printed. */
  readonly log: string;
  readonly registers: number;
  readonly spillBytes: number;
  readonly stackBytes: number;
}

/** Assembles a PTX module; `arch` such as `sm_90a`. */
export function assemble(ptx: string, arch: string): AssemblyReport {
  const dir = mkdtempSync(join(tmpdir(), 'ptxas-'));
  try {
    const file = join(dir, 'kernel.ptx');
    writeFileSync(file, ptx);
    const args = ['-v', `-arch=${arch}`, file, '-o', join(dir, 'kernel.cubin')];
    const { status, stdout, stderr } = spawnSync('ptxas', args, { encoding: 'utf8' });
    const log = stdout + stderr;
    const number = (pattern: RegExp): number => Number(pattern.exec(log)?.[1] ?? 0);
    return {
      ok: status === 0,
      log,
      registers: number(/Used (\d+) registers/),
      spillBytes: number(/(\d+) bytes spill stores/) + number(/(\d+) bytes spill loads/),
      stackBytes: number(/(\d+) bytes stack frame/),
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
